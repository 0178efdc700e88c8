"""HTTP-date, RFC 9110 §5.6.7."""

import pytest

from trio_evserver.semantics.http_date import format_http_date, parse_http_date

NOW = 1_753_920_000.5  # in July 2025
NOVEMBER_1994 = 784_111_777  # the example of §5.6.7


@pytest.mark.parametrize(
    ("seconds", "text", "why"),
    [
        (NOVEMBER_1994, b"Sun, 06 Nov 1994 08:49:37 GMT", "the example of §5.6.7"),
        (0, b"Thu, 01 Jan 1970 00:00:00 GMT", "the epoch"),
        (951_782_400, b"Tue, 29 Feb 2000 00:00:00 GMT", "a leap day in a century's leap year"),
        (2_147_483_648, b"Tue, 19 Jan 2038 03:14:08 GMT", "past 32 bits"),
        (253_402_300_799, b"Fri, 31 Dec 9999 23:59:59 GMT", "the last of four digits"),
        (-1, b"Wed, 31 Dec 1969 23:59:59 GMT", "before the epoch"),
    ],
)
def test_a_time_is_written_as_imf_fixdate(seconds: int, text: bytes, why: str) -> None:
    """A sender writes IMF-fixdate, and reads it back as the same second."""
    assert format_http_date(seconds) == text, why
    assert parse_http_date(text, NOW) == seconds, why


@pytest.mark.parametrize("seconds", [253_402_300_800, -(10**11), 10**20])
def test_a_year_without_four_digits_has_no_date(seconds: int) -> None:
    """The format ends with the years 1 and 9999; a caller must not ask beyond."""
    with pytest.raises((ValueError, OverflowError)):
        format_http_date(seconds)


@pytest.mark.parametrize(
    ("text", "seconds", "why"),
    [
        (b"Sun, 06 Nov 1994 08:49:37 GMT", NOVEMBER_1994, "IMF-fixdate"),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", NOVEMBER_1994, "rfc850-date"),
        (b"Sun Nov  6 08:49:37 1994", NOVEMBER_1994, "asctime-date, day as SP DIGIT"),
        (b"Sun Nov 06 08:49:37 1994", NOVEMBER_1994, "asctime-date, day as 2DIGIT"),
        (b"Wed Nov 16 08:49:37 1994", NOVEMBER_1994 + 10 * 86400, "asctime-date, a day of two digits"),
        (b"Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_800, "a leap second, which POSIX counts as the next"),
    ],
)
def test_all_three_formats_are_read(text: bytes, seconds: int, why: str) -> None:
    """A recipient MUST accept all three formats."""
    assert parse_http_date(text, NOW) == seconds, why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "nothing"),
        (b"yesterday", "prose"),
        (b"784111777", "a number"),
        (b"Sun, 06 Nov 1994 08:49:37", "without its zone"),
        (b"Sun, 06 Nov 1994 08:49:37 UTC", "only GMT is GMT"),
        (b"Sun, 06 Nov 1994 08:49:37 +0000", "RFC 5322 allows this, HTTP does not"),
        (b"sun, 06 nov 1994 08:49:37 gmt", "HTTP-date is case-sensitive"),
        (b"Sun, 6 Nov 1994 08:49:37 GMT", "one digit"),
        (b"Sun, 06  Nov 1994 08:49:37 GMT", "two spaces"),
        (b"Sun,06 Nov 1994 08:49:37 GMT", "no space"),
        (b" Sun, 06 Nov 1994 08:49:37 GMT", "a space before"),
        (b"Sun, 06 Nov 1994 08:49:37 GMT\n", "a line end after: `$` would match before it"),
        (b"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT", "two members, §13.1.3"),
        (b"Mon, 06 Nov 1994 08:49:37 GMT", "it was a Sunday, RFC 5322 §3.3"),
        (b"Monday, 06-Nov-94 08:49:37 GMT", "it was a Sunday"),
        (b"Sun, 06-Nov-94 08:49:37 GMT", "rfc850-date has the day in full"),
        (b"Wed, 30 Feb 1994 08:49:37 GMT", "no such day"),
        (b"Mon, 29 Feb 1900 08:49:37 GMT", "1900 was no leap year"),
        (b"Sun, 00 Nov 1994 08:49:37 GMT", "no day 0"),
        (b"Sun, 06 Nov 0000 08:49:37 GMT", "no year 0"),
        (b"Sun, 06 Nov 1994 24:00:00 GMT", "no hour 24"),
        (b"Sun, 06 Nov 1994 08:60:00 GMT", "no minute 60"),
        (b"Sun, 06 Nov 1994 08:49:60 GMT", "a leap second only ends a day"),
        ("Sun, 0\uff16 Nov 1994 08:49:37 GMT".encode(), "a digit of another script"),
        (b"9" * 100_000, "long"),
    ],
)
def test_anything_else_is_no_date(text: bytes, why: str) -> None:
    """What is not valid is None, so that its field is ignored (§13.1.3, §13.1.4)."""
    assert parse_http_date(text, NOW) is None, why


@pytest.mark.parametrize(
    ("text", "now", "year_is", "why"),
    [
        (b"Thursday, 31-Jul-25 00:00:00 GMT", b"Thu, 31 Jul 2025 00:00:00 GMT", b"2025", "now"),
        (b"Friday, 31-Jul-26 00:00:00 GMT", b"Thu, 31 Jul 2025 00:00:00 GMT", b"2026", "a year ahead"),
        (b"Friday, 31-Jul-75 00:00:00 GMT", b"Thu, 31 Jul 2025 00:00:00 GMT", None, "50 years: a Wednesday"),
        (b"Wednesday, 31-Jul-75 00:00:00 GMT", b"Thu, 31 Jul 2025 00:00:00 GMT", b"2075", "just 50 years"),
        (b"Thursday, 31-Jul-75 00:00:01 GMT", b"Thu, 31 Jul 2025 00:00:00 GMT", b"1975", "a second beyond"),
        (b"Saturday, 31-Jul-76 00:00:00 GMT", b"Thu, 31 Jul 2025 00:00:00 GMT", b"1976", "51 years"),
        (b"Saturday, 01-Jan-00 00:00:00 GMT", b"Fri, 31 Dec 1999 00:00:00 GMT", b"2000", "the century turns"),
    ],
)
def test_a_year_of_two_digits_is_at_most_fifty_ahead(
    text: bytes, now: bytes, year_is: bytes | None, why: str
) -> None:
    """ "More than 50 years in the future" means the most recent year in the past with the same two digits."""
    at = parse_http_date(now, NOW)
    assert at is not None
    found = parse_http_date(text, at)
    year = None if found is None else format_http_date(found)[12:16]
    assert year == year_is, why
