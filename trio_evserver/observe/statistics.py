"""Where a log stands."""

import msgspec


class AccessLogStatistics(msgspec.Struct, frozen=True):
    """Lines so far: `written`; `dropped`, for a full buffer; `failed`, for a file that takes no more."""

    written: int
    dropped: int
    failed: int
