"""HTTP-date (RFC 9110 §5.6.7): one format out, three formats in.

A date is read strictly: what is no valid HTTP-date is None, and the fields that carry one are then ignored,
which costs a full answer and never gives a wrong one. That includes a day name that contradicts the date,
which RFC 5322 §3.3 forbids.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

_DAYS: Final = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_LONG_DAYS: Final = (b"Monday", b"Tuesday", b"Wednesday", b"Thursday", b"Friday", b"Saturday", b"Sunday")
_MONTHS: Final = (
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
)  # fmt: skip

_DAY: Final = rb"(?P<day_name>" + b"|".join(_DAYS) + rb")"
_LONG_DAY: Final = rb"(?P<day_name>" + b"|".join(_LONG_DAYS) + rb")"
_MONTH: Final = rb"(?P<month>" + b"|".join(_MONTHS) + rb")"
_TIME: Final = rb"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"

_IMF_FIXDATE: Final = re.compile(
    _DAY + rb", (?P<day>[0-9]{2}) " + _MONTH + rb" (?P<year>[0-9]{4}) " + _TIME + rb" GMT"
)
_RFC850_DATE: Final = re.compile(
    _LONG_DAY + rb", (?P<day>[0-9]{2})-" + _MONTH + rb"-(?P<year>[0-9]{2}) " + _TIME + rb" GMT"
)
_ASCTIME_DATE: Final = re.compile(
    _DAY + rb" " + _MONTH + rb" (?P<day>[0-9]{2}| [0-9]) " + _TIME + rb" (?P<year>[0-9]{4})"
)


# The files of a site have mostly been put there in the same few seconds.
@lru_cache(maxsize=256)
def format_http_date(seconds: int) -> bytes:
    """The IMF-fixdate of a time in whole seconds since the epoch.

    Raises ValueError or OverflowError outside the years 1 to 9999, which have no four digits.
    """
    at = datetime.fromtimestamp(seconds, UTC)
    return b"%b, %02d %b %04d %02d:%02d:%02d GMT" % (
        _DAYS[at.weekday()], at.day, _MONTHS[at.month - 1], at.year, at.hour, at.minute, at.second,
    )  # fmt: skip


def parse_http_date(value: bytes, now: float) -> int | None:
    """Seconds since the epoch, from any of the three formats; None for what is no HTTP-date.

    `now`, in seconds since the epoch, says which century a year of two digits is in.
    """
    if found := _IMF_FIXDATE.fullmatch(value) or _ASCTIME_DATE.fullmatch(value):
        return _seconds(found, int(found["year"]), _DAYS)
    if found := _RFC850_DATE.fullmatch(value):
        return _seconds(found, _full_year(found, now), _LONG_DAYS)
    return None


def _seconds(found: re.Match[bytes], year: int, day_names: tuple[bytes, ...]) -> int | None:
    day, hour, minute, second = _numbers(found)
    # The grammar's one leap second; POSIX time has none, and counts it as the second after.
    leap = (hour, minute, second) == (23, 59, 60)
    try:
        at = datetime(year, _month(found), day, hour, minute, 59 if leap else second, tzinfo=UTC)
    except ValueError:
        return None
    if day_names[at.weekday()] != found["day_name"]:
        return None
    return int(at.timestamp()) + leap


def _full_year(found: re.Match[bytes], now: float) -> int:
    """The latest year with these two last digits in which the date is not over 50 years ahead (§5.6.7)."""
    at = datetime.fromtimestamp(now, UTC)
    latest = at.year + 50
    year = latest - (latest - int(found["year"])) % 100
    appears = (year, _month(found), *_numbers(found))
    ahead = appears > (latest, at.month, at.day, at.hour, at.minute, at.second)
    return year - 100 if ahead else year


def _month(found: re.Match[bytes]) -> int:
    return _MONTHS.index(found["month"]) + 1


def _numbers(found: re.Match[bytes]) -> tuple[int, int, int, int]:
    """Day, hour, minute, second."""
    day, hour, minute, second = found.group("day", "hour", "minute", "second")
    return int(day), int(hour), int(minute), int(second)
