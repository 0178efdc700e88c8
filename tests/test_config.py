"""Options of the command line become records, and bad values are refused with their remedy."""

from typing import Any

import click
import pytest
from click.testing import CliRunner

from trio_evserver.config import PARAMETERS, compose
from trio_evserver.files.options import ETagSource, FileOptions, Symlinks
from trio_evserver.http1.limits import Limits
from trio_evserver.serving.options import Options, Timeouts


def parsed(*arguments: str) -> Options:
    """The options for a command line."""
    seen: list[Options] = []

    @click.command(params=PARAMETERS)
    def command(**values: Any) -> None:
        seen.append(compose(values))

    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    return seen[0]


def refusal(*arguments: str) -> str:
    """What is said about a command line that is refused with exit code 2."""

    @click.command(params=PARAMETERS)
    def command(**values: Any) -> None:
        compose(values)

    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2, result.output
    return result.output


def test_the_defaults_are_the_records_own() -> None:
    """A command line without options asks for the library's defaults."""
    assert parsed() == Options()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-p", "0"), Options(port=0)),
        (("--port", "65535"), Options(port=65535)),
        (("-b", "::1", "--bind", "[::1]:81"), Options(bind=("::1", "[::1]:81"))),
        (("--public",), Options(bind=("0.0.0.0", "::"))),
        (("--index", "a.html", "--index", "b.html"), Options(index=("a.html", "b.html"))),
        (("--hidden",), Options(hidden=True)),
        (("--no-server-header",), Options(server_header=False)),
        (("--max-connections", "7"), Options(max_connections=7)),
        (("--grace", "0"), Options(grace=0.0)),
        (("--symlinks", "never"), Options(files=FileOptions(symlinks=Symlinks.NEVER))),
        (("--etag", "content"), Options(files=FileOptions(etag=ETagSource.CONTENT))),
        (("--file-threads", "3"), Options(files=FileOptions(threads=3))),
        (("--read-ahead", "9"), Options(files=FileOptions(read_ahead=9))),
        (("--read-ahead-memory", "1G"), Options(files=FileOptions(read_ahead_memory=2**30))),
        (("--chunk-size", "100"), Options(files=FileOptions(chunk_size=100))),
        (("--cache-size", "0"), Options(files=FileOptions(cache_size=0))),
        (("--revalidate", "250ms"), Options(files=FileOptions(revalidate=0.25))),
        (("--no-cached-reads",), Options(files=FileOptions(cached_reads=False))),
        (("--max-line", "1k"), Options(limits=Limits(line=1024))),
        (("--max-head", "64KiB"), Options(limits=Limits(head=65536))),
        (("--max-fields", "10"), Options(limits=Limits(fields=10))),
        (("--max-body", "0"), Options(limits=Limits(body=0))),
        (("--head-timeout", "1"), Options(timeouts=Timeouts(head=1.0))),
        (("--body-timeout", "2s"), Options(timeouts=Timeouts(body=2.0))),
        (("--idle-timeout", "5m"), Options(timeouts=Timeouts(idle=300.0))),
        (("--write-timeout", "1.5s"), Options(timeouts=Timeouts(write=1.5))),
        (("--write-rate", "8k"), Options(timeouts=Timeouts(write_rate=8192))),
    ],
)
def test_each_option_reaches_its_record(arguments: tuple[str, ...], expected: Options) -> None:
    """One option changes one field."""
    assert parsed(*arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--port", "65536"), ("--port", "65535 or less")),
        (("--port", "-1"), ("--port", "0 or more")),
        (("--port", "http"), ("--port", "a whole number")),
        (("--file-threads", "0"), ("--file-threads", "1 or more")),
        (("--read-ahead", "0"), ("--read-ahead", "1 or more")),
        (("--read-ahead-memory", "0"), ("--read-ahead-memory", "1 or more")),
        (("--chunk-size", "0"), ("--chunk-size", "1 or more")),
        (("--chunk-size", "-5"), ("--chunk-size", "a size such as 64MiB")),
        (("--chunk-size", "64MiBs"), ("--chunk-size", "a size such as 64MiB")),
        (("--max-connections", "0"), ("--max-connections", "1 or more")),
        (("--max-line", "1"), ("--max-line", "64 or more")),
        (("--max-fields", "0"), ("--max-fields", "1 or more")),
        (("--head-timeout", "0"), ("--head-timeout", "1ms or more")),
        (("--idle-timeout", "nan"), ("--idle-timeout", "a duration such as 10s")),
        (("--write-timeout", "25h"), ("--write-timeout", "24h or less")),
        (("--grace", "-1"), ("--grace", "a duration such as 10s")),
        (("--symlinks", "some"), ("--symlinks", "inside")),
        (("--bind", "[::1"), ("--bind", "[::1")),
        (("--bind", "localhost:http"), ("--bind", "65535")),
        (("--public", "--bind", "::1"), ("--public", "leave out")),
        (("--index", "a/b"), ("--index", "file name")),
        (("--index", ".."), ("--index", "file name")),
        (("--chunk-size", "2M", "--read-ahead-memory", "1M"), ("--chunk-size", "--read-ahead-memory")),
        (("--max-head", "1K"), ("--max-line", "--max-head")),
    ],
)
def test_a_bad_value_names_its_option_and_the_remedy(
    arguments: tuple[str, ...], said: tuple[str, str]
) -> None:
    """Exit 2, with a text that says which option and what would be right."""
    text = " ".join(refusal(*arguments).split())
    assert all(part in text for part in said), text
