"""Medians, ratios and tables."""

from benchmarks.figures import Spread, ratios, spread
from benchmarks.report import number, table


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
