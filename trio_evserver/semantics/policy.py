"""What is a site's to say about its answers, and the chance and the clock that pure code is handed."""

from collections.abc import Callable

import msgspec


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What is the site's to say about ranges, and the chance and the clock that pure code is handed.

    `boundary` draws a fresh multipart boundary, 1 to 70 letters and digits, unlikely to occur in any
    content; `now` is in seconds since the epoch. More than `max_ranges` ranges in one request are answered
    with the whole.
    """

    max_ranges: int = 16
    boundary: Callable[[], bytes]
    now: Callable[[], float]
