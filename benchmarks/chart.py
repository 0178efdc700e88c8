"""The little of SVG that the pictures need: scales, marks and text; light and dark as the reader has it.

Pure: numbers in, markup out. Text stays text, colours are named once as classes, and series differ by shape
as well as by colour.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_SHAPES = """\
text { font-family: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
.title { font-size: 20px; font-weight: 650; }
.said { font-size: 13px; }
.head { font-size: 13px; font-weight: 600; }
.tick { font-size: 12px; font-variant-numeric: tabular-nums; }
.note { font-size: 11.5px; }
.grid, .axis, .ideal { stroke-width: 1; }
.ideal { stroke-dasharray: 2 4; fill: none; }
.line { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round; }
.wide { stroke-width: 7; opacity: 0.4; }
.mark { stroke-width: 1.5; }
.broad { opacity: 0.55; }
.bar { opacity: 0.85; }
.limit { stroke-width: 1.25; stroke-dasharray: 5 3; }
"""

# by hand and without CSS variables, which some renderers of SVG do not know
_COLOURS = """\
text, .limit {{ fill: {ink}; }} .limit {{ stroke: {ink}; }}
.said, .tick, .note {{ fill: {soft}; }} .ideal {{ stroke: {soft}; }}
.ground {{ fill: {ground}; stroke: {edge}; }} .axis {{ stroke: {edge}; }} .grid {{ stroke: {grid}; }}
.mark {{ stroke: {ground}; }}
"""
_SERIES = """\
path.{name} {{ stroke: {colour}; }} .mark.{name}, .broad.{name}, .bar.{name} {{ fill: {colour}; }}
"""

_LIGHT = _COLOURS.format(ground="#ffffff", edge="#c9d1db", grid="#e8ecf1", ink="#1b2430", soft="#566171")
_DARK = _COLOURS.format(ground="#11161d", edge="#354152", grid="#212a35", ink="#e8edf3", soft="#9aa7b7")
HUES = {  # each series on light and on dark ground
    "ours": ("#1d63d8", "#6aa5ff"),
    "nginx": ("#2f9e6e", "#4cc794"),
    "workers": ("#d9630a", "#ff9a4d"),
    "granian": ("#7a8794", "#97a5b4"),
    "uvicorn": ("#9147c7", "#c08bee"),
    "aiohttp": ("#b08900", "#e0bd4a"),
    "literal": ("#d9630a", "#ff9a4d"),
    # states of one server, calm to bad
    "idle": ("#2f9e6e", "#4cc794"),
    "busy": ("#1d63d8", "#6aa5ff"),
    "hung": ("#d9630a", "#ff9a4d"),
}

STYLE = (
    _SHAPES
    + _LIGHT
    + "".join(_SERIES.format(name=name, colour=light) for name, (light, _) in HUES.items())
    + "@media (prefers-color-scheme: dark) {\n"
    + _DARK
    + "".join(_SERIES.format(name=name, colour=dark) for name, (_, dark) in HUES.items())
    + "}\n"
)


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` onto pixels from `start` to `end`, by their logarithm or in proportion."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = True

    def __call__(self, value: float) -> float:
        low, high, value = (
            (math.log(self.low), math.log(self.high), math.log(max(value, self.low)))
            if self.logarithmic
            else (self.low, self.high, value)
        )
        return self.start + (value - low) / (high - low) * (self.end - self.start)


Point = tuple[float, float]


def document(width: int, height: int, label: str, parts: Sequence[str]) -> str:
    """A whole picture; `label` is what a reader who cannot see it is told."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img" aria-label="{escape(label)}">',
            f"<title>{escape(label)}</title>",
            f"<style>\n{STYLE}</style>",
            f'<rect class="ground" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10"/>',
            *parts,
            "</svg>\n",
        ]
    )


def text(x: float, y: float, words: str, kind: str, anchor: str = "start", turn: int = 0) -> str:
    """Words at a point; `anchor` is start, middle or end, `turn` degrees about the point."""
    turned = f' transform="rotate({turn} {x:g} {y:g})"' if turn else ""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}"{turned}>{escape(words)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def path(points: Sequence[Point], kind: str) -> str:
    """A line through points; nothing for fewer than two."""
    if len(points) < 2:
        return ""
    steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path class="{kind}" d="M{steps}"/>'


def mark(shape: str, x: float, y: float, kind: str, size: float = 5.0) -> str:
    """A circle, square or diamond about a point."""
    if shape == "circle":
        return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{size:g}"/>'
    corner = f'x="{x - size:.1f}" y="{y - size:.1f}" width="{2 * size:g}" height="{2 * size:g}" rx="1.5"'
    turned = f' transform="rotate(45 {x:.1f} {y:.1f})"' if shape == "diamond" else ""
    return f'<rect class="{kind}" {corner}{turned}/>'


def bar(x: float, top: float, bottom: float, width: float, kind: str) -> str:
    """An upright bar about x."""
    return (
        f'<rect class="{kind}" x="{x - width / 2:.1f}" y="{top:.1f}" width="{width:g}" '
        f'height="{max(0.0, bottom - top):.1f}" rx="2"/>'
    )


def short(value: float) -> str:
    """A tick's label: 500, 1k, 2.5k, 16k."""
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def frame(
    across: Scale, up: Scale, x_ticks: Sequence[float], y_ticks: Sequence[float], y_labels: bool = True
) -> list[str]:
    """Grid lines and tick labels of one panel; `up` runs from its bottom to its top."""
    parts = []
    for value in y_ticks:
        y = up(value)
        parts.append(rule(across.start, y, across.end, y, "grid"))
        if y_labels:
            parts.append(text(across.start - 8, y + 4, short(value), "tick", "end"))
    for value in x_ticks:
        parts.append(rule(across(value), up.start, across(value), up.start + 4, "axis"))
        parts.append(text(across(value), up.start + 18, short(value), "tick", "middle"))
    return [*parts, rule(across.start, up.start, across.end, up.start, "axis")]
