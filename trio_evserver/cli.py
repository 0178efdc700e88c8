"""The command line: `python -m trio_evserver [DIRECTORY]`.

Exit codes: 0 after a stop by signal, 1 where the server cannot listen, 2 where the command line is at fault.
"""

import json
import logging
import os
import socket
import sys
from contextlib import ExitStack, suppress
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click
import trio
from click.core import ParameterSource

from trio_evserver import __version__
from trio_evserver.config import PARAMETERS, SectionOption, compose
from trio_evserver.observe.access_log import AccessLog, AccessLogFormat
from trio_evserver.observe.logs import LOGGER, diagnostics, escape
from trio_evserver.process.descriptor_limit import fit_descriptors, raise_descriptor_limit
from trio_evserver.process.run import run
from trio_evserver.process.standard_streams import open_missing_streams
from trio_evserver.serving import conversation
from trio_evserver.serving.binding import BindError, open_sockets
from trio_evserver.serving.options import Options
from trio_evserver.serving.server import Server

PROGRAM = "trio-evserver"
COMPILED = not str(conversation.__file__).endswith(".py")
"""Whether the hot path is, as hatch_build.py does it."""
STDOUT, STDERR = 1, 2


class SectionCommand(click.Command):
    """A command whose help groups the options by section, in the order in which they were declared."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            row = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if row is not None:
                section = param.section if isinstance(param, SectionOption) else "Help"
                sections.setdefault(section, []).append(row)
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows, col_max=26)


@click.command(
    PROGRAM,
    cls=SectionCommand,
    params=PARAMETERS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="SIZE: 512k, 64MiB (K, M, G: powers of 1024; kB, MB, GB: of 1000). TIME: 500ms, 10s, 2m, 1h.",
)
@click.argument("directory", required=False)
@click.version_option(
    __version__, prog_name=PROGRAM, message=f"%(prog)s, version %(version)s{', compiled' if COMPILED else ''}"
)
@click.pass_context
def main(ctx: click.Context, /, directory: str | None, **values: Any) -> None:
    """Serve the files in DIRECTORY over HTTP, or a single FILE.

    On a terminal DIRECTORY defaults to the current one. Only this machine can connect, unless --public or
    --bind says otherwise. Ctrl-C stops.
    """
    if values["quiet"] and values["verbose"]:
        raise click.UsageError("--quiet and --verbose contradict each other: leave one out.")
    root = find_root(directory)
    options = compose(values)
    open_missing_streams()
    level = logging.WARNING if values["quiet"] else logging.DEBUG if values["verbose"] else logging.INFO
    with ExitStack() as stack:
        stack.enter_context(diagnostics(level, STDERR))
        options = fit(options)
        sockets = listen(options)
        log_format = access_log_format(ctx, values)
        access_log = stack.enter_context(AccessLog(STDOUT, log_format)) if log_format else None
        announce = partial(write_ready, root, quiet=values["quiet"])
        trio.run(partial(run, root, options, listeners=sockets, access_log=access_log, announce=announce))


def listen(options: Options) -> list[socket.socket]:
    """The sockets to listen on; click.ClickException, which exits with 1, where one cannot be had."""
    try:
        return open_sockets(options.bind, options.port)
    except BindError as error:
        raise click.ClickException(f"{error.strerror}.") from None


def find_root(directory: str | None) -> Path:
    """The absolute path of what is to be served; click.UsageError, with the remedy, where there is none."""
    if directory is None:
        if not (sys.stdin.isatty() or sys.stderr.isatty()):
            raise click.UsageError(
                'Which DIRECTORY? It can be left out on a terminal only; "." is the current one.'
            )
        directory = "."
    path = Path(directory)
    if not path.exists():
        hint = f"did you mean --port {directory}?" if directory.isdecimal() else "give one that exists."
        raise click.UsageError(f"There is no directory {escape(directory)!r}: {hint}")
    if not (path.is_dir() or path.is_file()):
        raise click.UsageError(
            f"{escape(directory)!r} is neither a directory nor a regular file: give one of those."
        )
    if not os.access(path, os.X_OK if path.is_dir() else os.R_OK):
        raise click.UsageError(
            f"This user may not read {escape(directory)!r}: change its permissions, or the user."
        )
    # Not resolved: a symlinked root may be swapped while it is served.
    return Path(os.path.abspath(path))


def fit(options: Options) -> Options:
    """`options`, within the limit on open descriptors, which is raised as far as it goes."""
    limit = raise_descriptor_limit()
    fitting = fit_descriptors(options, limit)
    if fitting != options:
        LOGGER.warning(
            "this process may have %d files open (ulimit -Hn), so it takes %d connections instead of %d "
            "and keeps %d files open instead of %d",
            limit,
            fitting.max_connections,
            options.max_connections,
            fitting.files.cache_files,
            options.files.cache_files,
        )
    return fitting


def access_log_format(ctx: click.Context, values: dict[str, Any]) -> AccessLogFormat | None:
    """The format that was asked for; None for "off", and with --quiet where none was asked for."""
    asked = ctx.get_parameter_source("access_log") is not ParameterSource.DEFAULT
    if values["access_log"] == "off" or (values["quiet"] and not asked):
        return None
    return AccessLogFormat(values["access_log"])


def write_ready(root: Path, server: Server, *, quiet: bool) -> None:
    """Say on stderr that the server listens: to people on a terminal unless `quiet`, else to a program."""
    if not os.isatty(STDERR):
        text = ready_line(root, server.urls)
    elif not quiet:
        text = banner(root, server.urls, public=not is_loopback_only(server.addresses))
    else:
        return
    # Not by sys.stderr: a write that blocks for ever would keep its lock, and the interpreter from ending.
    with suppress(OSError):
        os.write(STDERR, text.encode("utf-8", "backslashreplace"))


def ready_line(root: Path, urls: tuple[str, ...]) -> str:
    """One line of JSON for scripts."""
    facts = {"urls": urls, "root": str(root), "version": __version__, "pid": os.getpid()}
    return json.dumps(facts) + "\n"


def banner(root: Path, urls: tuple[str, ...], *, public: bool) -> str:
    """A few lines for people."""
    lines = [f"{PROGRAM} {__version__} serves {escape(str(root))}", *(f"  {url}" for url in urls)]
    if not public:
        lines.append("Network: off, add --public")
    return "\n".join([*lines, "Ctrl-C stops", ""])


def is_loopback_only(addresses: tuple[tuple[object, ...], ...]) -> bool:
    """Whether no other machine can reach any of the socket addresses."""
    return all(ip_address(str(address[0])).is_loopback for address in addresses)
