"""Medians with their spread: what a table may say about a handful of runs."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The median of some runs, the least and the most of them."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread | None:
    """None where there is no value."""
    return Spread(statistics.median(values), min(values), max(values)) if values else None


def ratios(ours: Sequence[float | None], theirs: Sequence[float | None]) -> list[float]:
    """Ours by theirs, round by round; a round that lacks either gives none.

    Both of a round ran within seconds of each other, so what the machine did to one it most likely did to the
    other: the median of these ratios is steadier than the ratio of the medians.
    """
    return [mine / its for mine, its in zip(ours, theirs, strict=True) if mine is not None and its]
