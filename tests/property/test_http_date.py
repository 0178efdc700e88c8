"""Law: every second that has an HTTP-date is read back from all three formats; no text makes reading fail."""

from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from trio_evserver.semantics.http_date import format_http_date, parse_http_date

FIRST, LAST = -62_135_596_800, 253_402_300_799  # the years 1 and 9999
NOW = 1_753_920_000.0
YEARS_49 = 49 * 365 * 86400


@given(st.integers(FIRST, LAST))
@example(FIRST)
@example(LAST)
def test_writer_then_reader(seconds: int) -> None:
    """IMF-fixdate is exact to the second, and always 29 octets long."""
    text = format_http_date(seconds)
    assert len(text) == 29
    assert parse_http_date(text, NOW) == seconds


@given(st.integers(FIRST, LAST))
def test_asctime(seconds: int) -> None:
    """asctime-date, as written by datetime itself, gives the same second."""
    at = datetime.fromtimestamp(seconds, UTC)
    assert parse_http_date(at.ctime().encode(), NOW) == seconds


@given(st.integers(int(NOW) - YEARS_49, int(NOW) + YEARS_49))
def test_rfc850(seconds: int) -> None:
    """rfc850-date gives the same second, wherever within 49 years of now it lies."""
    at = datetime.fromtimestamp(seconds, UTC)
    assert parse_http_date(at.strftime("%A, %d-%b-%y %H:%M:%S GMT").encode(), NOW) == seconds


@given(st.binary(max_size=40) | st.from_regex(rb"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"))
def test_the_reader_is_total(value: bytes) -> None:
    """Anything is either no date, or the date of which it is the text."""
    found = parse_http_date(value, NOW)
    if found is not None and b"," in value and b"-" not in value and b":60" not in value:
        assert format_http_date(found) == value
