"""What the slow disk's figures are judged by, its picture, and the names that the disk knows."""

from xml.etree import ElementTree

import pytest

from benchmarks.drivers.slow_fuse import content
from benchmarks.instruments.open_load import Seen
from benchmarks.slow_disk_figures import Outcome, Phase, criteria, p99
from benchmarks.slow_disk_picture import draw_slow_disk

SVG = "{http://www.w3.org/2000/svg}"


def _seen(slowest: float, lost: int = 0) -> Seen:
    counts = {"offered": 1000, "right": 1000 - lost, "timeout": lost}
    return Seen(1.0, counts, 1.0, slowest, slowest, 0.1, None, 0.5)


def _outcome(peer: str = "ours", busy: float = 2.0, lost: int = 0, ended: float | None = 8.2) -> Outcome:
    calm, slow = Phase(_seen(1.0), _seen(5.0)), Phase(_seen(busy, lost), _seen(5.0, lost))
    return Outcome(peer, calm, slow, calm, _seen(300.0), ended)


@pytest.mark.parametrize(
    ("outcome", "passed"),
    [
        (_outcome(), [True, True, True, True, True]),
        (_outcome(busy=2.1), [False, True, True, True, True]),
        (_outcome(lost=11), [False, False, True, True, True]),
        (_outcome(ended=9.0), [True, True, True, True, False]),
        (_outcome(ended=None), [True, True, True, True, False]),
        (_outcome(peer="nginx"), []),
    ],
    ids=["all", "hot waits", "lost", "ends late", "never ends", "a peer"],
)
def test_criteria(outcome: Outcome, passed: list[bool]) -> None:
    """Both states of the disk are judged, then the end; a peer is held to nothing."""
    assert [one.passed for one in criteria([outcome])] == passed


@pytest.mark.parametrize(("lost", "found"), [(0, 7.0), (10, 7.0), (11, None)])
def test_p99_of_what_was_lost(lost: int, found: float | None) -> None:
    """Where more than one of a hundred was not answered, the others' latency is no percentile of it."""
    assert p99(_seen(7.0, lost)) == found


def test_picture() -> None:
    """Three marks a server and panel and three of the legend, whatever was lost."""
    picture = draw_slow_disk([_outcome(), _outcome("nginx", lost=500)], machine="here <&>")
    root = ElementTree.fromstring(picture)
    marks = [element for element in root.iter() if element.get("class", "").startswith("mark ")]
    assert len(marks) == 3 + 2 * 2 * 3
    assert "here <&>" in [element.text for element in root.iter(f"{SVG}text")]


def test_content_has_its_size() -> None:
    """Also where it is no multiple of the pattern."""
    assert [len(content(size)) for size in (0, 1, 256, 65537)] == [0, 1, 256, 65537]
