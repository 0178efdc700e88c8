"""The README's picture: right answers a second against connections a second, and the reads in flight.

Pure: figures in, SVG out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.chart import Point, Scale, bar, document, frame, mark, path, rule, short, text

WIDTH, HEIGHT = 880, 572
SMALL, MEDIUM = 1024, 100 * 1024
TOP, BOTTOM = 138, 378  # of the two upper panels
SHAPES = {
    "nginx": "square",
    "workers": "diamond",
    "ours": "circle",
}  # in the order of drawing: ours last, on top


@dataclass(frozen=True)
class Figure:
    """One contender ("ours", "nginx" or "workers") at one rate, medians: offered and answered are per second.

    `goodput` is None where no instrument finished. `peak` is the most file reads in flight at any moment
    (workers only), `clean` whether each of the connections was answered in each run.
    """

    contender: str
    size: int
    offered: int
    goodput: float | None
    clean: bool
    peak: int | None = None


def draw_ancestor(
    figures: Sequence[Figure], *, threads: int, chunk_size: int, connections: int, machine: str
) -> str:
    """The whole picture as an SVG document."""
    small = [one for one in figures if one.size == SMALL]
    medium = [one for one in figures if one.size == MEDIUM]
    rates = sorted({one.offered for one in figures}) or [1000]
    goodputs = [one.goodput for one in figures if one.goodput]
    low, high = min(rates), max(rates)
    floor = min([low, *goodputs])
    up = Scale(floor / 1.25, high * 1.12, BOTTOM, TOP)
    wide = Scale(low / 1.12, high * 1.12, 76, 574 if medium else 850)
    ticks = sorted({one.offered for one in small}) or rates
    label = (
        f"Right answers per second against new connections per second, {connections:,} in each run: "
        "trio_evserver and nginx beside each other; and trio_evserver with every read sent through worker "
        "threads, where goodput levels off and the reads in flight stay within their limit."
    )
    parts = [
        text(28, 40, _title(figures), "title"),
        text(28, 62, _subtitle(connections), "said"),
        *_legend(28, 92, chunk_size),
        text(76, TOP - 12, "a file of 1 KiB", "head"),
        *frame(wide, up, ticks, rates),
        *_ideal(wide, up, high),
        *_curves(small, wide, up),
        text(30, (TOP + BOTTOM) / 2, "right answers per second", "said", "middle", -90),
    ]
    if medium:
        parts += _medium_panel(medium, up, rates)
    parts += _reads_in_flight(small, wide, ticks, threads)
    parts.append(text(28, HEIGHT - 16, machine, "note"))
    return document(WIDTH, HEIGHT, label, parts)


def _title(figures: Sequence[Figure]) -> str:
    """It claims only what the figures show."""
    ours = [one for one in figures if one.contender == "ours"]
    every = bool(ours) and all(one.clean for one in ours)
    return "Every connection answered, at every rate asked" if every else "Right answers at each rate asked"


def _subtitle(connections: int) -> str:
    return (
        f"{connections:,} new connections, one request on each, "
        "opened at a fixed rate whatever the server does"
    )


def _legend(x: float, y: float, chunk_size: int) -> list[str]:
    words = {
        "ours": "trio_evserver",
        "nginx": "nginx",
        "workers": f"trio_evserver, every read of {chunk_size} bytes in a worker thread",
    }
    parts = []
    for name, said in words.items():
        parts += _stroke([(x, y), (x + 26, y)], name)
        parts += [_dot(name, x + 13, y), text(x + 34, y + 4.5, said, "said")]
        x += 34 + 6.7 * len(said) + 26
    return [*parts, path([(x, y), (x + 26, y)], "ideal"), text(x + 34, y + 4.5, "all asked", "said")]


def _stroke(points: Sequence[Point], name: str) -> list[str]:
    """nginx lies broad and pale beneath, so that a line of ours upon it hides neither."""
    return [path(points, f"line {name} wide" if name == "nginx" else f"line {name}")]


def _dot(name: str, x: float, y: float) -> str:
    if name == "nginx":
        return mark(SHAPES[name], x, y, f"broad {name}", 7)
    return mark(SHAPES[name], x, y, f"mark {name}", 4.6 if name == "workers" else 5.2)


def _curves(figures: Sequence[Figure], across: Scale, up: Scale) -> list[str]:
    parts = []
    for name in SHAPES:
        reached = sorted(
            (one.offered, one.goodput) for one in figures if one.contender == name and one.goodput
        )
        points = [(across(offered), up(goodput)) for offered, goodput in reached]
        parts += _stroke(points, name)
        parts += [_dot(name, x, y) for x, y in points]
    return parts


def _ideal(across: Scale, up: Scale, high: float) -> list[str]:
    low = max(across.low, up.low)
    return [path([(across(low), up(low)), (across(high), up(high))], "ideal")]


def _medium_panel(figures: Sequence[Figure], up: Scale, rates: Sequence[int]) -> list[str]:
    ticks = sorted({one.offered for one in figures})
    across = Scale(ticks[0] / 1.35, ticks[-1] * 1.35, 640, 850)
    return [
        text(640, TOP - 12, "a file of 100 KiB", "head"),
        *frame(across, up, ticks, rates, y_labels=False),
        *_ideal(across, up, across.high),
        *_curves(figures, across, up),
        text(745, BOTTOM + 38, "new connections asked per second", "said", "middle"),
    ]


def _reads_in_flight(
    figures: Sequence[Figure], across: Scale, ticks: Sequence[int], threads: int
) -> list[str]:
    """The strip below: bars of the most reads in flight, never above the line of the limit."""
    named = text(
        (across.start + across.end) / 2, BOTTOM + 38, "new connections asked per second", "said", "middle"
    )
    peaks = [
        (one.offered, one.peak) for one in figures if one.contender == "workers" and one.peak is not None
    ]
    if not peaks:
        return [named]
    bottom, top = HEIGHT - 62, HEIGHT - 112
    highest = max(threads, *(peak for _, peak in peaks))
    up = Scale(0, highest, bottom, top, logarithmic=False)
    bars = [bar(across(offered), up(peak), bottom, 26, "bar workers") for offered, peak in peaks]
    ends = across.end + 14
    return [
        named,
        text(across.start, top - 14, "file reads in flight in those runs, the most at any moment", "head"),
        *bars,
        rule(across.start, bottom, across.end, bottom, "axis"),
        *[text(across(offered), bottom + 18, short(offered), "tick", "middle") for offered in ticks],
        rule(across.start, up(threads), across.end, up(threads), "limit"),
        text(across.start - 8, up(threads) + 4, str(threads), "tick", "end"),
        text(across.start - 8, bottom + 4, "0", "tick", "end"),
        text(ends, up(threads) + 4, f"their limit, --file-threads {threads}", "said"),
    ]
