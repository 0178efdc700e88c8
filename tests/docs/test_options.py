"""The options and records of the code are those of the docs, with the same defaults."""

import re
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner

from tests.docs.markdown import PAGES, ROOT, name, table
from trio_evserver import FileOptions, Limits, Options, Statistics, Timeouts
from trio_evserver.cli import main
from trio_evserver.config import PARAMETERS

OPERATING, EMBEDDING = ROOT / "docs" / "operating.md", ROOT / "docs" / "embedding.md"
DEPLOYED = sorted((ROOT / "deploy").iterdir())

# Options of other programs: docker, systemctl, pip, mypy.
FOREIGN = {"--rm", "--read-only", "--now", "--no-cache-dir", "--strict", "--from"}

_LONG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def helped() -> set[str]:
    """The long options that --help names."""
    return set(_LONG.findall(CliRunner().invoke(main, ["--help"]).output))


@pytest.mark.parametrize("page", [*PAGES, *DEPLOYED], ids=name)
def test_options_in_the_docs_exist(page: Path) -> None:
    """Nobody is told to use what --help does not have."""
    assert set(_LONG.findall(page.read_text())) - FOREIGN <= helped()


def test_every_option_is_documented() -> None:
    """Each option of --help has a row of its own in docs/operating.md, and no row is left over."""
    rows = [set(_LONG.findall(row[0])) for row in table(OPERATING, "option")]
    assert sorted(map(len, rows)) == [1] * len(rows)
    assert set.union(*rows) == helped()


def shown_default(parameter: click.Option) -> str:
    """The default as --help has it; empty for a flag."""
    record = parameter.get_help_record(click.Context(main))
    assert record is not None
    found = re.search(r"\[default: (.*)\]", record[1])
    return found[1] if found else ""


def test_defaults_are_those_of_help() -> None:
    """The second column of the options' tables is the default."""
    documented = {_LONG.findall(row[0])[0]: row[1] for row in table(OPERATING, "option")}
    options = [one for one in PARAMETERS if isinstance(one, click.Option) and not one.hidden]
    shown = {_LONG.findall(" ".join(one.opts))[0]: shown_default(one) for one in options}
    assert {option: documented[option] for option in shown} == shown


@pytest.mark.parametrize("record", [Options, FileOptions, Limits, Timeouts])
def test_records_are_documented_with_their_defaults(record: type[msgspec.Struct]) -> None:
    """docs/embedding.md has each field of the option records, and the value that it has by default."""
    rows = table(EMBEDDING, record.__name__)
    documented = {row[0].strip("`"): row[1].strip("`").replace('"', "'") for row in rows}
    defaults = msgspec.structs.asdict(record())
    assert set(documented) == set(defaults)
    for field, value in defaults.items():
        if isinstance(value, msgspec.Struct):
            assert documented[field] == f"{type(value).__name__}()"
        else:
            assert documented[field] in (str(value), repr(value))


def test_statistics_are_documented() -> None:
    """docs/embedding.md has each figure of `Statistics`, those of its records too."""
    rows = {row[0].strip("`"): row[1] for row in table(EMBEDDING, "Statistics")}
    fields = {field.name: field.type for field in msgspec.structs.fields(Statistics)}
    assert set(rows) == set(fields)
    for field, kind in fields.items():
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            assert set(re.findall(r"`(\w+)`", rows[field])) == set(kind.__struct_fields__)
