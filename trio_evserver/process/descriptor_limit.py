"""How many descriptors a process may have open (RLIMIT_NOFILE, getrlimit(2)), and options that fit into
it."""

import resource
import sys

import msgspec

from trio_evserver.serving.options import Options

# For everything that is neither a connection nor a cached file: standard streams, listeners, the event loop's
# own, the reserve that answers when the rest is used up, and files that a reply reads without the cache.
RESERVE = 64


def raise_descriptor_limit() -> int:
    """Raise the soft limit to the hard one where the system allows it; the limit then in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):
            # macOS reports a hard limit without an end and refuses it as a soft one.
            return _count(soft)
    return _count(hard)


def _count(limit: int) -> int:
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def fit_descriptors(options: Options, limit: int) -> Options:
    """`options`, with fewer connections and files kept open where both together exceed `limit`.

    Three quarters go to connections and one to files; what one of them does not need, the other gets.
    """
    connections, files = options.max_connections, options.files.cache_files
    room = max(limit - RESERVE, 2)
    if connections + files <= room:
        return options
    connections = min(connections, max(room * 3 // 4, room - files))
    files = min(files, room - connections)
    return msgspec.structs.replace(
        options,
        max_connections=connections,
        files=msgspec.structs.replace(options.files, cache_files=files),
    )
