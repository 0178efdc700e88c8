"""The options of the command line, and the records that they are composed into.

A default stands in the record alone; the help shows it with its unit.
"""

from collections.abc import Mapping
from typing import Any

import click

from trio_evserver.files.options import ETagSource, FileOptions, Symlinks
from trio_evserver.http1.limits import Limits
from trio_evserver.observe.access_log import AccessLogFormat
from trio_evserver.quantities import count, duration, format_duration, format_size, size
from trio_evserver.serving.binding import parse_bind
from trio_evserver.serving.options import Options, Timeouts

EVERY_ADDRESS = ("0.0.0.0", "::")
KIB, MIB, GIB = 2**10, 2**20, 2**30

_OPTIONS = Options()
_FILES, _LIMITS, _TIMEOUTS = _OPTIONS.files, _OPTIONS.limits, _OPTIONS.timeouts


class SectionOption(click.Option):
    """An option that the help lists under the heading `section`."""

    def __init__(self, section: str, *names: str, **attributes: Any) -> None:
        super().__init__(names, **attributes)
        self.section = section


def _number(
    section: str, *names: str, help: str, default: int, least: int, most: int | None = None
) -> SectionOption:
    return _quantity(section, *names, help=help, type=count(least, most), metavar="N", default=str(default))


def _size(
    section: str, *names: str, help: str, default: int, least: int = 1, most: int = 1024 * GIB
) -> SectionOption:
    text = format_size(default)
    return _quantity(section, *names, help=help, type=size(least, most), metavar="SIZE", default=text)


def _time(section: str, *names: str, help: str, default: float, least: float = 0.001) -> SectionOption:
    text, longest = format_duration(default), 24 * 3600.0
    return _quantity(section, *names, help=help, type=duration(least, longest), metavar="TIME", default=text)


def _quantity(section: str, *names: str, **attributes: Any) -> SectionOption:
    return SectionOption(section, *names, show_default=True, **attributes)


def _choice(section: str, *names: str, help: str, choices: list[str], default: str) -> SectionOption:
    return _quantity(section, *names, help=help, type=click.Choice(choices), default=default)


def _flag(section: str, *names: str, **attributes: Any) -> SectionOption:
    return SectionOption(section, *names, is_flag=True, **attributes)


def _several(section: str, *names: str, default: tuple[str, ...], metavar: str, help: str) -> SectionOption:
    shown = f"{help}  [default: {' and '.join(default)}]"
    return SectionOption(section, *names, multiple=True, metavar=metavar, help=shown)


ADDRESSES, FILES, READING, LIMITS, TIMES, OUTPUT = (
    "Addresses",
    "Files",
    "Reading",
    "Limits",
    "Times",
    "Output",
)

PARAMETERS: list[click.Parameter] = [
    _number(
        ADDRESSES,
        "-p",
        "--port",
        default=_OPTIONS.port,
        least=0,
        most=65535,
        help="Port; 0 takes a free one.",
    ),
    _several(
        ADDRESSES,
        "-b",
        "--bind",
        default=_OPTIONS.bind,
        metavar="ADDRESS",
        help="HOST, HOST:PORT or [V6]:PORT to listen on; repeatable.",
    ),
    _flag(ADDRESSES, "--public", help="Listen on every address, IPv4 and IPv6."),
    _several(
        FILES,
        "--index",
        default=_OPTIONS.index,
        metavar="NAME",
        help="File that stands for its directory; repeatable, the first found is used.",
    ),
    _flag(FILES, "--hidden", help="Serve names that begin with a dot, too."),
    _choice(
        FILES,
        "--symlinks",
        choices=[s.value for s in Symlinks],
        default=_FILES.symlinks.value,
        help="Symbolic links to follow; inside: relative ones that stay in DIRECTORY.",
    ),
    _choice(
        FILES,
        "--etag",
        choices=[s.value for s in ETagSource],
        default=_FILES.etag.value,
        help="Where entity tags come from; auto: time and size.",
    ),
    _size(
        FILES,
        "--cache-size",
        default=_FILES.cache_size,
        least=0,
        help="Memory for small files; 0 keeps none.",
    ),
    _time(
        FILES,
        "--revalidate",
        default=_FILES.revalidate,
        least=0,
        help="How old an answer may be where asking the disk could block.",
    ),
    _number(
        READING,
        "--file-threads",
        default=_FILES.threads,
        least=1,
        most=1024,
        help="Reads in flight at a time, each in a thread.",
    ),
    _number(
        READING,
        "--file-queue",
        default=_FILES.queue,
        least=1,
        help="Openings that wait for a thread, per disk; further ones are refused (503).",
    ),
    _time(
        READING,
        "--file-wait",
        default=_FILES.patience,
        help="How long an opening waits for a thread before it is refused (503).",
    ),
    _number(
        READING,
        "--read-ahead",
        default=_FILES.read_ahead,
        least=1,
        most=1024,
        help="Chunks read ahead per reply.",
    ),
    _size(
        READING,
        "--read-ahead-memory",
        default=_FILES.read_ahead_memory,
        help="Memory for what is read and not yet sent, of all replies.",
    ),
    _size(READING, "--chunk-size", default=_FILES.chunk_size, most=GIB, help="Bytes per read."),
    # For development: every read through the workers, as the ancestor did it.
    _flag(READING, "--no-cached-reads", hidden=True),
    _number(
        LIMITS,
        "--max-connections",
        default=_OPTIONS.max_connections,
        least=1,
        help="Connections open at a time; further ones wait.",
    ),
    _size(LIMITS, "--max-line", default=_LIMITS.line, least=64, most=MIB, help="Request line."),
    _size(LIMITS, "--max-head", default=_LIMITS.head, least=256, most=16 * MIB, help="Request head."),
    _number(
        LIMITS, "--max-fields", default=_LIMITS.fields, least=1, most=10_000, help="Fields in a request head."
    ),
    _size(LIMITS, "--max-body", default=_LIMITS.body, least=0, help="Request body, which is thrown away."),
    _time(TIMES, "--head-timeout", default=_TIMEOUTS.head, help="For a request head to arrive."),
    _time(TIMES, "--body-timeout", default=_TIMEOUTS.body, help="For a request body to arrive."),
    _time(TIMES, "--idle-timeout", default=_TIMEOUTS.idle, help="Between two requests of a connection."),
    _time(
        TIMES,
        "--write-timeout",
        default=_TIMEOUTS.write,
        help="For a reply that makes no progress, or less than --write-rate.",
    ),
    _size(
        TIMES,
        "--write-rate",
        default=_TIMEOUTS.write_rate,
        least=1,
        help="Least progress of a reply, a second.",
    ),
    _time(
        TIMES,
        "--grace",
        default=_OPTIONS.grace,
        least=0,
        help="For answers in flight when the server is stopped.",
    ),
    _choice(
        OUTPUT,
        "--access-log",
        choices=["off", *(f.value for f in AccessLogFormat)],
        default=AccessLogFormat.COMBINED.value,
        help="Log of requests on standard output.",
    ),
    _flag(OUTPUT, "--no-server-header", help="Leave the Server field out of answers."),
    _flag(OUTPUT, "-q", "--quiet", help="No banner, no log of requests unless --access-log asks for it."),
    _flag(OUTPUT, "-v", "--verbose", help="Say more on standard error."),
]


def compose(values: Mapping[str, Any]) -> Options:
    """The options that the command line's `values` (by parameter name, already converted) ask for.

    Raises click.UsageError for values that contradict each other.
    """
    _refuse_contradictions(values)
    return Options(
        index=tuple(values["index"]) or _OPTIONS.index,
        hidden=values["hidden"],
        server_header=not values["no_server_header"],
        bind=_bind(values),
        port=values["port"],
        max_connections=values["max_connections"],
        grace=values["grace"],
        files=_file_options(values),
        limits=Limits(
            line=values["max_line"],
            head=values["max_head"],
            fields=values["max_fields"],
            body=values["max_body"],
        ),
        timeouts=Timeouts(
            head=values["head_timeout"],
            body=values["body_timeout"],
            idle=values["idle_timeout"],
            write=values["write_timeout"],
            write_rate=values["write_rate"],
        ),
    )


def _bind(values: Mapping[str, Any]) -> tuple[str, ...]:
    if values["public"]:
        return EVERY_ADDRESS
    return tuple(values["bind"]) or _OPTIONS.bind


def _file_options(values: Mapping[str, Any]) -> FileOptions:
    return FileOptions(
        symlinks=Symlinks(values["symlinks"]),
        etag=ETagSource(values["etag"]),
        threads=values["file_threads"],
        queue=values["file_queue"],
        patience=values["file_wait"],
        read_ahead=values["read_ahead"],
        read_ahead_memory=values["read_ahead_memory"],
        chunk_size=values["chunk_size"],
        cache_size=values["cache_size"],
        revalidate=values["revalidate"],
        cached_reads=not values["no_cached_reads"],
    )


def _refuse_contradictions(values: Mapping[str, Any]) -> None:
    if values["public"] and values["bind"]:
        raise click.UsageError("--public means every address: leave out --bind, or leave out --public.")
    for address in values["bind"]:
        _refuse_malformed(address, values["port"])
    for name in values["index"]:
        if not name or "/" in name or "\0" in name or name in (".", ".."):
            raise click.UsageError(f"--index {name!r} is not a file name: give one such as index.html.")
    if values["chunk_size"] > values["read_ahead_memory"]:
        raise click.UsageError(
            "--chunk-size is larger than --read-ahead-memory: lower the one or raise the other."
        )
    if values["max_line"] > values["max_head"]:
        raise click.UsageError("--max-line is larger than --max-head, which includes it: raise --max-head.")


def _refuse_malformed(address: str, port: int) -> None:
    try:
        parse_bind(address, port)
    except ValueError as error:
        raise click.UsageError(f"--bind: {error}.") from None
