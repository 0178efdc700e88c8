"""The pictures: whole SVG, every series in it, and a title that claims no more than the figures."""

from xml.etree import ElementTree

import pytest

from benchmarks.ancestor_picture import Figure, draw_ancestor
from benchmarks.chart import Scale, short
from benchmarks.growth_picture import draw_growth
from benchmarks.hot_picture import draw_hot

SVG = "{http://www.w3.org/2000/svg}"


def _figures(lost: bool = False) -> list[Figure]:
    figures = [
        Figure(name, 1024, rate, rate * 0.99, True) for name in ("ours", "nginx") for rate in (1000, 2000)
    ]
    figures += [Figure(name, 102400, 1000, 999.0, True) for name in ("ours", "nginx")]
    figures.append(Figure("workers", 1024, 2000, 1500.0, False, peak=16))
    figures.append(Figure("ours", 1024, 4000, None if lost else 3900.0, not lost))
    return figures


def _draw(figures: list[Figure]) -> str:
    return draw_ancestor(figures, threads=16, chunk_size=256, connections=10000, machine="here <&>")


@pytest.mark.parametrize("figures", [_figures(), _figures(lost=True), []], ids=["all", "one lost", "none"])
def test_ancestor_is_well_formed(figures: list[Figure]) -> None:
    """Whatever was measured, the picture is XML with its text as text."""
    root = ElementTree.fromstring(_draw(figures))
    assert root.tag == f"{SVG}svg"
    assert "here <&>" in [element.text for element in root.iter(f"{SVG}text")]


@pytest.mark.parametrize(
    ("lost", "title"),
    [(False, "Every connection answered, at every rate asked"), (True, "Right answers at each rate asked")],
)
def test_ancestor_title_is_true(lost: bool, title: str) -> None:
    """It says that every connection was answered only where each was."""
    root = ElementTree.fromstring(_draw(_figures(lost=lost)))
    assert title in [element.text for element in root.iter(f"{SVG}text")]


def test_ancestor_draws_each_series_and_the_limit() -> None:
    """Each contender has its marks, the reads in flight their bar, and the bound its line."""
    classes = [element.get("class", "") for element in ElementTree.fromstring(_draw(_figures())).iter()]
    assert classes.count("mark ours") == 1 + 3 + 1, "legend, 1 KiB, 100 KiB"
    assert classes.count("broad nginx") == 1 + 2 + 1
    assert classes.count("bar workers") == 1
    assert classes.count("limit") == 1


def test_ancestor_knows_light_and_dark() -> None:
    """The reader's own setting chooses the colours."""
    assert "@media (prefers-color-scheme: dark)" in _draw(_figures())


def test_hot_has_a_bar_for_each_server() -> None:
    """In the order of their medians, each with its name; one without a figure is left to the table."""
    samples = {"ours": [5e4, 4e4, 6e4], "nginx": [9e4], "tornado": [5e3], "gone": []}
    row = {
        "title": "1 KiB",
        "peers": {name: {"samples": [{"figure": value} for value in got]} for name, got in samples.items()},
    }
    root = ElementTree.fromstring(draw_hot(row, "here <&>"))
    words = [element.text for element in root.iter(f"{SVG}text") if element.get("class") == "head"]
    assert words == ["nginx", "trio_evserver", "tornado"]
    assert sum(element.get("class", "").startswith("bar ") for element in root.iter()) == 3


def test_growth_is_well_formed() -> None:
    """A peer without figures leaves the other's curve as it is."""
    sample = {"figure": 50_000.0}
    rows = [
        {"connections": count, "peers": {"ours": {"samples": [sample, None]}, "nginx": {"samples": [None]}}}
        for count in (1, 64, 10_000)
    ]
    root = ElementTree.fromstring(draw_growth(rows))
    assert len([1 for element in root.iter() if element.get("class") == "mark ours"]) == 3 + 1, (
        "and the legend"
    )


@pytest.mark.parametrize(
    ("scale", "value", "pixel"),
    [
        (
            Scale(500, 8000, 0, 400),
            2000,
            200,
        ),
        (Scale(0, 10, 100, 0, logarithmic=False), 5, 50),
        (Scale(500, 8000, 0, 400), 0, 0),
    ],
    ids=["halfway by its logarithm", "halfway in proportion", "nothing lies at the edge"],
)
def test_scale(scale: Scale, value: float, pixel: float) -> None:
    """Values land where the axis says."""
    assert scale(value) == pytest.approx(pixel)


@pytest.mark.parametrize(("value", "label"), [(500, "500"), (1000, "1k"), (2500, "2.5k"), (16000, "16k")])
def test_short(value: float, label: str) -> None:
    """Ticks stay short."""
    assert short(value) == label
