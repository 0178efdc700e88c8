"""The picture of overload: goodput against what is offered, and the p99 of what is admitted beside it.

Pure: figures in, SVG out.
"""

from collections.abc import Callable, Sequence

from benchmarks.chart import Scale, document, frame, mark, path, rule, text
from benchmarks.overload_figures import P99, Point

WIDTH, ROW = 880, 296
# in the order of drawing: ours last, on top
SHAPES = {
    "literal": "diamond",
    "uvicorn": "diamond",
    "granian": "square",
    "nginx": "square",
    "ours": "circle",
}
WORDS = {
    "ours": "trio_evserver", "nginx": "nginx", "granian": "granian", "uvicorn": "uvicorn + Starlette",
    "literal": "the literal shape",
}  # fmt: skip
HEADS = {
    "new": "a new connection for each request",
    "keep": "kept connections: 1,000, one request at a time on each",
}
LEFT, RIGHT = (76.0, 446.0), (536.0, 852.0)
FASTEST, SLOWEST = 1.0, 1000.0  # ms: a later answer is none


def draw_overload(points: Sequence[Point], *, terms: str, machine: str) -> str:
    """The whole picture: two panels a kind of load. Goodput is drawn in parts of each server's capacity."""
    kinds = list(dict.fromkeys(point.kind for point in points))
    height = 150 + ROW * len(kinds)
    label = (
        "Right answers per second, as a part of each server's own capacity, against the load offered; and "
        "the 99th percentile of the latency of what was answered: " + ", ".join(WORDS.values()) + "."
    )
    parts = [
        text(28, 40, _title(points), "title"),
        text(
            28,
            62,
            "right answers within a second; every server held to the same small part of a core",
            "said",
        ),
        *_legend(28, 90, [name for name in WORDS if any(point.peer == name for point in points)]),
    ]
    for place, kind in enumerate(kinds):
        parts += _row([point for point in points if point.kind == kind], kind, 142 + ROW * place)
    parts += [text(28, height - 30, terms, "note"), text(28, height - 13, machine, "note")]
    return document(WIDTH, height, label, parts)


def _title(points: Sequence[Point]) -> str:
    """It claims only what the figures show."""
    worst = max((point.factor for point in points), default=0.0)
    ours = [point for point in points if point.peer == "ours"]
    kept = [
        point.goodput >= 0.9 * max(one.goodput for one in ours if one.kind == point.kind) > 0
        for point in ours
        if point.factor == worst
    ]
    if kept and all(kept):
        return f"Asked {worst:g} times too much, it still does what it can"
    return f"Goodput, asked up to {worst:g} times too much"


def _legend(x: float, y: float, names: Sequence[str]) -> list[str]:
    parts = []
    for name in names:
        parts += [
            path([(x, y), (x + 26, y)], f"line {name}"),
            mark(SHAPES[name], x + 13, y, f"mark {name}", 4.6),
        ]
        parts.append(text(x + 34, y + 4.5, WORDS[name], "said"))
        x += 34 + 6.9 * len(WORDS[name]) + 24
    return parts


def _row(points: Sequence[Point], kind: str, top: float) -> list[str]:
    bottom = top + 188
    factors = sorted({point.factor for point in points})
    highest = max([1.0, *(point.goodput / point.capacity for point in points)])
    low, high = factors[0] / 1.15, factors[-1] * 1.15
    left, right = Scale(low, high, *LEFT), Scale(low, high, *RIGHT)
    up = Scale(0, highest * 1.08, bottom, top, logarithmic=False)
    slow = Scale(FASTEST, SLOWEST * 1.3, bottom, top)
    axis = "offered, times the server's capacity"
    return [
        text(LEFT[0], top - 12, HEADS[kind], "head"),
        text(RIGHT[0], top - 12, "p99 of what is answered right, ms", "head"),
        *frame(left, up, factors, [0, 0.25, 0.5, 0.75, 1]),
        *frame(right, slow, factors, [1, 10, 100, 1000]),
        rule(RIGHT[0], slow(P99), RIGHT[1], slow(P99), "limit"),
        text(RIGHT[0] + 4, slow(P99) - 5, f"{P99:g} ms", "said"),
        *_curves(points, lambda point: up(point.goodput / point.capacity), left),
        *_curves(points, lambda point: None if point.seen.p99 is None else slow(point.seen.p99), right),
        text(30, (top + bottom) / 2, "goodput / capacity", "said", "middle", -90),
        text(sum(LEFT) / 2, bottom + 38, axis, "said", "middle"),
        text(sum(RIGHT) / 2, bottom + 38, axis, "said", "middle"),
    ]


def _curves(points: Sequence[Point], height: Callable[[Point], float | None], across: Scale) -> list[str]:
    parts = []
    for name in SHAPES:
        mine = sorted((point for point in points if point.peer == name), key=lambda point: point.factor)
        drawn = [(across(point.factor), y) for point in mine if (y := height(point)) is not None]
        parts.append(path(drawn, f"line {name}"))
        parts += [mark(SHAPES[name], x, y, f"mark {name}", 4.6) for x, y in drawn]
    return parts
