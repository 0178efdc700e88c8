"""How much of a request is read before it is refused."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on one request, in bytes but for `fields`, which counts field lines.

    `line` bounds the request line (414 beyond it), `head` the whole head and `fields` its field lines (431
    beyond either), `body` everything between the head and the end of the message, chunk framing and
    trailers included (413).
    """

    line: int = 8 * 1024
    head: int = 32 * 1024
    fields: int = 100
    body: int = 1024 * 1024
