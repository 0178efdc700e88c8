"""A static-file HTTP server on Trio that never stalls, because its file I/O is bounded.

    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, "site/")
        print(server.urls)

What is named here is public; nothing else is.
"""

from trio_evserver.files.options import ETagSource, FileOptions, Symlinks
from trio_evserver.http1.limits import Limits
from trio_evserver.observe.access_log import AccessLog, AccessLogFormat
from trio_evserver.serving.binding import BindError
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.options import Options, Timeouts
from trio_evserver.serving.server import Server, serve, serve_connection
from trio_evserver.serving.site import Site
from trio_evserver.serving.statistics import Statistics

__all__ = [
    "AccessLog",
    "AccessLogFormat",
    "BindError",
    "ETagSource",
    "FileOptions",
    "Limits",
    "Options",
    "Server",
    "Site",
    "Statistics",
    "Symlinks",
    "Timeouts",
    "open_site",
    "serve",
    "serve_connection",
]
__version__ = "0.1.0"
