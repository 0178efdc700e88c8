"""Everything a caller can choose about a site, composed from the records of the rooms that use them."""

import msgspec

from trio_evserver.files.options import FileOptions
from trio_evserver.http1.limits import Limits
from trio_evserver.serving.deadlines import Timeouts


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
