"""What overload's figures are judged by, its quota's arithmetic, its load's records, its picture."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.drivers.load_lane import unchunked
from benchmarks.drivers.load_plan import Plan, Target, percentile, recovered
from benchmarks.instruments.open_load import Seen
from benchmarks.overload_figures import Point, criteria
from benchmarks.overload_picture import draw_overload
from benchmarks.quota import _memberships, _mounts

SVG = "{http://www.w3.org/2000/svg}"


def _point(
    factor: float, right: int, p99: float | None = 100.0, recovery: float | None = 0.5, alive: bool = True
) -> Point:
    seen = Seen(1.0, {"right": right}, 10.0, p99, p99, 1.0, recovery, 0.5)
    return Point("new", "ours", factor, 1000.0, 1000.0 * factor, seen, alive)


@pytest.mark.parametrize(
    ("worst", "passed"),
    [
        (_point(10, 900), [True, True, True, True]),
        (_point(10, 899), [False, True, True, True]),
        (_point(10, 1000, p99=250.0), [True, False, True, True]),
        (_point(10, 0, p99=None), [False, False, True, True]),
        (_point(10, 1000, recovery=2.0), [True, True, False, True]),
        (_point(10, 1000, recovery=None), [True, True, False, False]),
        (_point(10, 1000, alive=False), [True, True, True, False]),
    ],
    ids=["all", "goodput", "latency", "nothing answered", "recovery", "never recovered", "dead"],
)
def test_criteria(worst: Point, passed: list[bool]) -> None:
    """Each is judged on its own, at the highest factor or over all of them."""
    assert [one.passed for one in criteria([_point(1, 1000), worst])] == passed


def test_criteria_are_for_ours_alone() -> None:
    """The peers are held to nothing."""
    point = _point(1, 1)
    other = Point("new", "nginx", 1, 1.0, 1.0, point.seen, True)
    assert criteria([other]) == []


@pytest.mark.parametrize(
    ("slow", "recovery"),
    [([], 1.0), ([0], 1.05), ([9], None), (range(10), None)],
    ids=["at once", "after the first", "not yet", "never"],
)
def test_recovered(slow: list[int], recovery: float | None) -> None:
    """Ten probes in a row must have been answered soon; it counts from the first of them."""
    count = 11 if recovery == 1.05 else 10
    probes = [(6.0 + 0.05 * number, None if number in slow else 0.01) for number in range(count)]
    assert recovered(probes, 5.0) == (None if recovery is None else pytest.approx(recovery))


def test_recovered_takes_probes_in_their_order() -> None:
    """An answer that came late belongs to a probe that began early."""
    probes: list[tuple[float, float | None]] = [(5.1 + 0.05 * number, 0.01) for number in range(10)]
    assert recovered([*probes, (5.05, 0.9)], 5.0) == pytest.approx(0.1)


def test_plan_survives_its_line() -> None:
    """What the harness writes is what the generator reads."""
    plan = Plan(80, (Target("/a", 1, "00"), Target("/b", 2, "11")), 2.5, keep=True, probe=1.0)
    assert Plan.load(plan.dump()) == plan


@pytest.mark.parametrize(("values", "found"), [([], None), ([0.001], 1.0), ([0.001] * 99 + [1.0], 1000.0)])
def test_percentile(values: list[float], found: float | None) -> None:
    """One of a hundred is not above the 99th percentile, it is it."""
    assert percentile(values, 0.99) == found


@pytest.mark.parametrize(
    ("received", "body"),
    [
        (b"head3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n", b"abcd"),
        (b"head3\r\nabc\r\n0\r\n", None),
        (b"head3\r\nab", None),
        (b"head", None),
        (b"headxyz\r\n", b""),
    ],
    ids=["whole", "no end yet", "cut", "nothing yet", "not chunked at all"],
)
def test_unchunked(received: bytes, body: bytes | None) -> None:
    """A chunked answer is whole once its last chunk's line has been followed by another."""
    assert unchunked(received, 4) == body


def test_quota_mounts() -> None:
    """The hierarchy with the CPU controller comes before the unified one; others are none."""
    mountinfo = (
        "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
        "33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
        "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
    )
    found = [(1, Path("/sys/fs/cgroup/cpu,cpuacct")), (2, Path("/sys/fs/cgroup/unified"))]
    assert list(_mounts(mountinfo)) == found


def test_quota_memberships() -> None:
    """One's own group by controller; the unified hierarchy's has none."""
    listed = "4:memory:/a/b\n1:cpu,cpuacct:/c\n0::/d\n"
    assert dict(_memberships(listed)) == {"memory": "/a/b", "cpu": "/c", "cpuacct": "/c", "": "/d"}


@pytest.mark.parametrize(
    ("points", "title"),
    [
        ([_point(1, 1000), _point(10, 950)], "Asked 10 times too much, it still does what it can"),
        ([_point(1, 1000), _point(10, 50)], "Goodput, asked up to 10 times too much"),
        ([_point(1, 0, p99=None)], "Goodput, asked up to 1 times too much"),
    ],
    ids=["kept", "lost", "nothing"],
)
def test_picture(points: list[Point], title: str) -> None:
    """It is well-formed whatever was measured, and its title claims no more than the figures."""
    texts = [element.text for element in ElementTree.fromstring(_draw(points)).iter(f"{SVG}text")]
    assert title in texts
    assert "here <&>" in texts


def test_picture_draws_both_kinds() -> None:
    """A row of panels each; a point without a latency has no mark on the right."""
    new, keep = _point(1, 10), _point(1, 10, p99=None)
    keep = Point("keep", keep.peer, keep.factor, keep.capacity, keep.asked, keep.seen, keep.alive)
    classes = [element.get("class", "") for element in ElementTree.fromstring(_draw([new, keep])).iter()]
    assert classes.count("mark ours") == 1 + 2 + 1, "legend, new, keep"


def _draw(points: list[Point]) -> str:
    return draw_overload(points, terms="4 of 80", machine="here <&>")
