"""`python -m benchmarks hot`: the files in memory, row by row, beside what a user would pick instead."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence

from benchmarks import growth, report
from benchmarks.contest import LOGGED, Contender, run_rows
from benchmarks.figures import ratios, spread
from benchmarks.growth_picture import draw_growth
from benchmarks.hot_picture import draw_hot
from benchmarks.instruments import programs
from benchmarks.machine import describe, pin_client
from benchmarks.peers.catalogue import ALL, PROJECT, Ready, make_ready
from benchmarks.rows import GROWTH, Row, chosen
from benchmarks.venvs import MissingError

PUBLISHED = PROJECT / "docs" / "pictures"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this table."""
    parser.add_argument("--rows", help="names, comma-separated; `growth` for the curve over open connections")
    parser.add_argument("--peers", help=f"names, comma-separated, of: {', '.join(ALL)}")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each peer in each row (default 5)")
    parser.add_argument("--seconds", type=float, default=5, help="length of one run (default 5)")
    parser.add_argument("--python", help="the interpreter under test, for ours and for the Python peers")
    parser.add_argument("--publish", action="store_true", help="write the pictures to docs/pictures/ too")


def main(options: argparse.Namespace) -> None:
    """Measure the chosen rows, print each as it is done, keep all of it as JSON."""
    groups = chosen(options.rows)
    names = options.peers.split(",") if options.peers else list(ALL)
    ready, missing = _make_ready(names, options.python)
    machine = describe(options.python or sys.executable)
    versions = {name: one.version for name, one in ready.items()}
    report.print_machine({**machine, **{f"{name}": version for name, version in versions.items()}})
    for name, why in missing.items():
        print(f"missing: {name}: {why}", flush=True)
    pin_client()
    kept = []
    for rows in groups:
        if lacking := programs.missing(rows[0].kind.value):
            print(f"\n{rows[0].name}: {rows[0].title}\nmissing: {lacking}", flush=True)
            continue
        found = run_rows(rows, ready, options.rounds, options.seconds)
        for row, contenders in zip(rows, found, strict=True):
            print(f"\n{row.name}: {row.title}, {row.metric.value}\n{_table(row, contenders)}", flush=True)
            kept.append(_record(row, contenders))
        measured = zip(rows, found, strict=True)
        cpu = {row.connections: {one.name: one.cpu() for one in of_row} for row, of_row in measured}
        for line in growth.said(cpu):
            print(line, flush=True)
        # written after each: a run that is cut short keeps what it has
        path = report.write(
            "hot", {"machine": machine, "versions": versions, "missing": missing, "rows": kept}
        )
    print(f"\nfigures: {path}")
    _draw(kept, f"{machine['cpu'].partition(',')[0]}, {machine['python']}", publish=options.publish)


def _make_ready(names: Sequence[str], python: str | None) -> tuple[dict[str, Ready], dict[str, str]]:
    ready, missing = {}, {}
    for name in names:
        try:
            ready[name] = make_ready(ALL[name], python)
        except MissingError as error:
            missing[name] = str(error)
    return ready, missing


def _compared_with(row: Row, one: Contender, contenders: Sequence[Contender]) -> list[float]:
    """Ours / the peer, round by round; in a logged row, a peer with its log / the same without."""
    by_name = {other.name: other.figures() for other in contenders}
    plain = one.name.removesuffix(LOGGED)
    if row.logged:
        return ratios(by_name[one.name], by_name[plain]) if plain != one.name else []
    return ratios(by_name.get("ours", []), one.figures()) if "ours" in by_name and one.name != "ours" else []


def _table(row: Row, contenders: Sequence[Contender]) -> str:
    ratio_title = "on / off" if row.logged else "ours / it"
    head = ["", "median", "min", "max", "CPU µs", ratio_title, "min", "max", "reach", "errors"]
    lines = [report.table(head, [_line(row, one, contenders) for one in contenders])]
    for one in contenders:
        if notes := one.notes():
            lines.append(f"{one.name}: {', '.join(notes)}")
    return "\n".join(lines)


def _line(row: Row, one: Contender, contenders: Sequence[Contender]) -> list[str]:
    measured = spread([value for value in one.figures() if value is not None])
    compared = spread(_compared_with(row, one, contenders))
    cpu = spread([value for value in one.cpu() if value is not None])
    numbers = [report.number(value) for value in dataclasses.astuple(measured)] if measured else ["-"] * 3
    against = [report.number(value) for value in dataclasses.astuple(compared)] if compared else [""] * 3
    errors = sum(sample.errors for sample in one.samples if sample)
    return [
        one.name,
        *numbers,
        report.number(cpu.median) if cpu else "",
        *against,
        _reach(row, one, compared.median if compared else None),
        str(errors) if errors else "",
    ]


def _reach(row: Row, one: Contender, ratio: float | None) -> str:
    """The mark to reach and whether it was: "≥ 0.55 yes"."""
    mark = row.reach.get(one.name.removesuffix(LOGGED))
    if mark is None or (row.logged and not one.name.endswith(LOGGED)):
        return ""
    sign = "≤" if row.metric.less_is_better else "≥"
    if ratio is None:
        return f"{sign} {mark:g}"
    reached = ratio <= mark if row.metric.less_is_better else ratio >= mark
    return f"{sign} {mark:g} {'yes' if reached else 'NO'}"


def _record(row: Row, contenders: Sequence[Contender]) -> dict[str, object]:
    return {
        "row": row.name,
        "title": row.title,
        "unit": row.metric.value,
        "connections": row.connections,
        "peers": {
            one.name: {
                "samples": [dataclasses.asdict(sample) if sample else None for sample in one.samples],
                "ratios": _compared_with(row, one, contenders),
                "notes": one.notes(),
            }
            for one in contenders
        },
    }


def _draw(kept: Sequence[dict[str, object]], machine: str, *, publish: bool) -> None:
    """The bars of the first row, and the curve over open connections, if all of its rows were run."""
    pictures = {f"{row['row']}.svg": draw_hot(row, machine) for row in kept if row["row"] == "keepalive-1k"}
    grown = [record for record in kept if str(record["row"]).startswith("growth-")]
    if len(grown) == len(GROWTH):
        pictures["growth.svg"] = draw_growth(grown)
    for name, picture in pictures.items():
        for folder in [report.OUT, *([PUBLISHED] if publish else [])]:
            (folder / name).write_text(picture)
            print(f"picture: {folder / name}")
