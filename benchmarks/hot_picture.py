"""Requests a second of every server on the first row, as bars. Pure: figures in, SVG out."""

import statistics
from collections.abc import Mapping
from typing import Any

from benchmarks.chart import HUES, Scale, document, rule, short, text

WIDTH, TOP, STEP = 760, 92, 26
LEFT, RIGHT = 210, WIDTH - 90
OURS = {"ours": "trio_evserver", "sources": "..., not compiled"}


def draw_hot(row: Mapping[str, Any], machine: str) -> str:
    """`row` is the record of one row as the JSON keeps it: samples by peer; `machine` a line about where."""
    medians = sorted(_medians(row).items(), key=lambda each: -each[1])
    highest = max((_spread(row, name)[1] for name, _ in medians), default=1.0)
    across = Scale(0, highest, LEFT, RIGHT, logarithmic=False)
    bottom = TOP + STEP * len(medians)
    parts = [
        text(28, 40, "Requests a second, one process on one core", "title"),
        text(28, 62, f"{row['title']}; median of the rounds, least and most", "said"),
    ]
    for place, (name, median) in enumerate(medians):
        y = TOP + STEP * place + STEP / 2
        least, most = _spread(row, name)
        kind = "ours" if name in OURS else name if name in HUES else "granian"
        parts += [
            text(LEFT - 10, y + 4, OURS.get(name, name), "head", "end"),
            f'<rect class="bar {kind}" x="{LEFT}" y="{y - 8:.1f}" '
            f'width="{max(1.0, across(median) - LEFT):.1f}" height="16" rx="2"/>',
            rule(across(least), y, across(most), y, "axis"),
            text(max(across(most), across(median)) + 8, y + 4, short(round(median, -2)), "tick"),
        ]
    parts.append(text(28, bottom + 24, machine, "note"))
    label = f"Requests per second: {', '.join(f'{name} {median:,.0f}' for name, median in medians)}."
    return document(WIDTH, bottom + 42, label, parts)


def _medians(row: Mapping[str, Any]) -> dict[str, float]:
    figures = {name: _figures(row, name) for name in row["peers"]}
    return {name: statistics.median(values) for name, values in figures.items() if values}


def _spread(row: Mapping[str, Any], name: str) -> tuple[float, float]:
    figures = _figures(row, name)
    return min(figures), max(figures)


def _figures(row: Mapping[str, Any], name: str) -> list[float]:
    return [sample["figure"] for sample in row["peers"][name]["samples"] if sample]
