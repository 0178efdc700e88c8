"""The picture of the slow disk: a line a server, with the slow disk idle, read by many, and silent.

Pure: figures in, SVG out.
"""

from collections.abc import Callable, Sequence

from benchmarks.chart import Scale, document, mark, rule, short, text
from benchmarks.instruments.open_load import Seen
from benchmarks.slow_disk_figures import PATIENCE, Outcome, Phase, p99

WIDTH, TOP, STEP = 880, 150, 40
WORDS = {
    "ours": "trio_evserver", "nginx": "nginx", "nginx-threads": "nginx, aio threads", "aiohttp": "aiohttp",
    "uvicorn": "uvicorn + Starlette",
}  # fmt: skip
STATES: dict[str, tuple[str, str, Callable[[Outcome], Phase]]] = {
    "idle": ("circle", "the slow disk idle", lambda outcome: outcome.idle),
    "busy": ("square", "200 clients read from it, 300 ms each read", lambda outcome: outcome.busy),
    "hung": ("diamond", "it never answers", lambda outcome: outcome.hung),
}
PANELS = (
    ("a hot file: p99, ms", (170.0, 496.0), lambda phase: phase.hot),
    ("files of the fast disk, not cached: p99, ms", (546.0, 852.0), lambda phase: phase.cold),
)
LEAST, MOST = 0.3, PATIENCE * 1000


def draw_slow_disk(outcomes: Sequence[Outcome], *, machine: str) -> str:
    """The whole picture; what was not answered within the patience stands at the right edge."""
    bottom = TOP + STEP * len(outcomes)
    height = bottom + 88
    label = (
        "The 99th percentile of the latency of a hot file, and of files that are not cached, while another "
        "disk is idle, slow, or silent: " + ", ".join(WORDS.get(one.peer, one.peer) for one in outcomes)
    )
    parts = [
        text(28, 40, "What waits for a slow disk", "title"),
        text(28, 62, "p99 of requests that have nothing to do with it, asked for at a fixed rate", "said"),
        *_legend(28, 92),
    ]
    for title, (start, end), chosen in PANELS:
        across = Scale(LEAST, MOST * 1.6, start, end)
        parts += [text(start, TOP - 18, title, "head"), *_grid(across, bottom)]
        for place, outcome in enumerate(outcomes):
            parts += _line(outcome, chosen, across, TOP + STEP * place + STEP / 2)
    for place, outcome in enumerate(outcomes):
        parts.append(
            text(28, TOP + STEP * place + STEP / 2 + 4, WORDS.get(outcome.peer, outcome.peer), "said")
        )
    note = f"lost: more than one of a hundred was not answered right within {PATIENCE:g} s"
    parts += [text(28, height - 30, note, "note"), text(28, height - 13, machine, "note")]
    return document(WIDTH, height, label, parts)


def _legend(x: float, y: float) -> list[str]:
    parts = []
    for name, (shape, words, _) in STATES.items():
        parts += [mark(shape, x + 6, y, f"mark {name}"), text(x + 18, y + 4.5, words, "said")]
        x += 18 + 6.7 * len(words) + 26
    return parts


def _grid(across: Scale, bottom: float) -> list[str]:
    parts = []
    for value in (1, 10, 100, 1000):
        x = across(value)
        parts += [rule(x, TOP - 6, x, bottom, "grid"), text(x, bottom + 18, short(value), "tick", "middle")]
    lost = across.end - 6
    parts += [rule(lost, TOP - 6, lost, bottom, "limit"), text(lost, bottom + 18, "lost", "tick", "middle")]
    return [*parts, rule(across.start, bottom, across.end, bottom, "axis")]


def _line(outcome: Outcome, chosen: Callable[[Phase], Seen], across: Scale, y: float) -> list[str]:
    """Its marks, the calmest on top: where nothing changes they lie upon each other."""
    placed = {name: _place(chosen(phase(outcome)), across) for name, (_, _, phase) in STATES.items()}
    parts = [rule(min(placed.values()), y, max(placed.values()), y, "axis")]
    for name, size in (("hung", 7.0), ("busy", 5.2), ("idle", 3.6)):
        parts.append(mark(STATES[name][0], placed[name], y, f"mark {name}", size))
    return parts


def _place(seen: Seen, across: Scale) -> float:
    value = p99(seen)
    return across.end - 6 if value is None else across(value)
