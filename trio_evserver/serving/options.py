"""Everything a caller can choose about a site, composed from the records of the rooms that use them."""

import msgspec

from trio_evserver.files.options import FileOptions
from trio_evserver.http1.limits import Limits


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long a peer may take, in seconds.

    `head`: from the first byte of a request to the end of its head; and from the accept to the first byte.
    `body`: for the whole of a request body. `idle`: between two requests. `write`: without any progress of
    a reply. `linger`: for a peer to close after a reply that ended the conversation while it was still
    sending.
    """

    head: float = 10.0
    body: float = 10.0
    idle: float = 60.0
    write: float = 30.0
    write_rate: int = 250
    linger: float = 2.0


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is served, how, and within which bounds.

    `index` are the names tried, in order, for a directory. `hidden` serves names that start with a dot;
    without it they do not exist, but for /.well-known/. `server_header` sends the Server field. `bind` are
    the addresses `serve` listens on when it is handed no listeners: "HOST", "HOST:PORT" or "[V6]:PORT";
    `port` is for those that name none, and 0 takes a free one, the same for all of them. `max_connections`
    are open at a time. `grace` is how long `Server.drain` lets answers in flight go on, in seconds.
    """

    index: tuple[str, ...] = ("index.html",)
    hidden: bool = False
    server_header: bool = True
    bind: tuple[str, ...] = ("127.0.0.1", "::1")
    port: int = 8000
    max_connections: int = 10_000
    grace: float = 8.0
    files: FileOptions = FileOptions()
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
