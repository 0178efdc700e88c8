"""Medians, ratios and tables."""

import pytest

from benchmarks import growth
from benchmarks.figures import Spread, ratios, spread
from benchmarks.report import number, table
from benchmarks.rows import GROWTH, chosen


def test_spread() -> None:
    """The median with its least and most; of nothing there is none."""
    assert spread([3.0, 1.0, 9.0]) == Spread(3.0, 1.0, 9.0)
    assert spread([]) is None


def test_ratios_pair_the_rounds() -> None:
    """A round that lacks either gives no ratio; the others stay with their own partner."""
    assert ratios([10.0, None, 30.0], [5.0, 7.0, 60.0]) == [2.0, 0.5]


def test_table_aligns() -> None:
    """Names to the left, figures to the right, as wide as the widest."""
    assert table(["", "n"], [["a", "10"], ["long", "5"]]) == "       n\n----  --\na     10\nlong   5"


def test_number_keeps_three_figures() -> None:
    """What is below the noise is not printed."""
    assert [number(value) for value in (12345.6, 45.67, 0.5678)] == ["12,346", "45.7", "0.57"]


@pytest.mark.parametrize(("nginx", "judged"), [(12.0, "1.32: yes"), (11.0, "1.21: NO")])
def test_growth_is_judged_round_by_round(nginx: float, judged: str) -> None:
    """By the median of what each round says; a round that failed says nothing."""
    few: dict[str, list[float | None]] = {"ours": [10.0, 20.0, None], "nginx": [10.0, 10.0, 10.0]}
    many: dict[str, list[float | None]] = {"ours": [12.0, 26.0, 99.0], "nginx": [nginx, nginx, nginx]}
    lines = list(growth.said({64: few, 4096: many}))
    assert lines[1] == "ours: 1.25 (1.20 to 1.30)"
    assert lines[-1].endswith(judged)
    assert not list(growth.said({64: few}))


def test_rows_that_are_compared_run_together() -> None:
    """Those of the growth, however they are named; any other by itself."""
    groups = chosen("keepalive-1k,growth,latency-1,growth-64,growth-4096")
    assert [len(rows) for rows in groups] == [1, len(GROWTH), 1, 2]
    assert all(len(rows) == 1 for rows in chosen(None))
