"""Requests a second against open connections: does cost grow as the work does? Pure: figures in, SVG out."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.chart import Scale, document, frame, mark, path, text

WIDTH, HEIGHT = 760, 420
SHAPES = {"nginx": "square", "ours": "circle"}
WORDS = {"ours": "trio_evserver", "nginx": "nginx"}


def draw_growth(rows: Sequence[Mapping[str, Any]]) -> str:
    """`rows` are the records of the growth rows as the JSON keeps them: connections, and samples by peer."""
    curves = {name: _curve(rows, name) for name in SHAPES}
    counts = sorted(row["connections"] for row in rows)
    highest = max((value for curve in curves.values() for _, value in curve), default=1.0)
    step = 10_000 if highest < 80_000 else 20_000
    ticks = [step * number for number in range(int(highest // step) + 2)]
    across = Scale(counts[0] / 1.3, counts[-1] * 1.3, 76, WIDTH - 28)
    up = Scale(0, ticks[-1], HEIGHT - 76, 110, logarithmic=False)
    label = "Requests per second on a hot 1 KiB file with keep-alive, against the number of open connections."
    parts = [
        text(28, 40, "As many connections as you like", "title"),
        text(
            28,
            62,
            "1 KiB, keep-alive: requests a second against connections open, one process on one core",
            "said",
        ),
        *frame(across, up, counts, ticks),
        text((76 + WIDTH - 28) / 2, HEIGHT - 30, "connections open", "said", "middle"),
        text(28, (110 + HEIGHT - 76) / 2, "requests a second", "said", "middle", -90),
    ]
    for place, (name, curve) in enumerate(curves.items()):
        points = [(across(count), up(value)) for count, value in curve]
        parts.append(path(points, f"line {name}"))
        parts += [mark(SHAPES[name], x, y, f"mark {name}") for x, y in points]
        x = 90 + 130 * place
        parts += [mark(SHAPES[name], x, 88, f"mark {name}"), text(x + 12, 92, WORDS[name], "said")]
    return document(WIDTH, HEIGHT, label, parts)


def _curve(rows: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, float]]:
    curve = []
    for row in rows:
        samples = row["peers"].get(name, {}).get("samples", [])
        figures = [sample["figure"] for sample in samples if sample]
        if figures:
            curve.append((row["connections"], statistics.median(figures)))
    return sorted(curve)
