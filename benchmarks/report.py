"""Tables for a terminal, and the same figures as JSON in benchmarks/out/."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

OUT = Path(__file__).with_name("out")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell; the first one is left-aligned, figures right-aligned."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join([first, *others]).rstrip()

    return "\n".join([line(head), "  ".join("-" * width for width in widths), *map(line, rows)])


def number(value: float) -> str:
    """Three figures that matter: 12,345, 456, 7.89, 0.123."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def print_machine(machine: Mapping[str, str]) -> None:
    """The machine's line above the tables."""
    print("; ".join(f"{name}: {value}" for name, value in machine.items()), flush=True)


def write(name: str, record: Mapping[str, Any]) -> Path:
    """Keep a run's figures as benchmarks/out/NAME.json; the newest run replaces the one before."""
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{name}.json"
    stamped = {"made": datetime.now(UTC).isoformat(timespec="seconds"), **record}
    path.write_text(json.dumps(stamped, indent=1) + "\n")
    return path
