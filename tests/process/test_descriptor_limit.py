"""The limit on open descriptors."""

import resource
import sys

import pytest

from trio_evserver.files.options import FileOptions
from trio_evserver.process.descriptor_limit import RESERVE, fit_descriptors, raise_descriptor_limit
from trio_evserver.serving.options import Options


def fake_limits(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, *, refuse: bool = False) -> list[int]:
    """Let the process have these limits; the list gets the soft limit that is asked for."""
    asked: list[int] = []

    def setrlimit(which: int, limits: tuple[int, int]) -> None:
        if refuse:
            raise ValueError("current limit exceeds maximum limit")
        asked.append(limits[0])

    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    return asked


def test_the_soft_limit_becomes_the_hard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The soft limit is a shell's habit, the hard one the administrator's will."""
    asked = fake_limits(monkeypatch, 1024, 4096)
    assert raise_descriptor_limit() == 4096
    assert asked == [4096]


def test_nothing_is_asked_for_at_the_hard_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be a profile that ends a process for trying."""
    asked = fake_limits(monkeypatch, 4096, 4096)
    assert raise_descriptor_limit() == 4096
    assert asked == []


def test_a_refusal_leaves_the_soft_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS: the hard limit is without an end, and may not be had."""
    fake_limits(monkeypatch, 256, resource.RLIM_INFINITY, refuse=True)
    assert raise_descriptor_limit() == 256


def test_no_limit_is_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """RLIM_INFINITY is -1, which must not be taken for a number."""
    fake_limits(monkeypatch, resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    assert raise_descriptor_limit() == sys.maxsize


@pytest.mark.parametrize(
    ("connections", "files", "limit", "expected"),
    [
        (100, 50, RESERVE + 150, (100, 50)),  # just fits
        (100, 50, RESERVE + 149, (100, 49)),  # one too few, and connections are below their share
        (10_000, 4096, 1024, (720, 240)),  # three quarters, one quarter
        (10_000, 10, 1024, (950, 10)),  # what the files leave, the connections get
        (100, 4096, 1024, (100, 860)),  # and the other way round
        (10_000, 4096, 0, (1, 1)),  # however small, one of each is tried
    ],
)
def test_fit(connections: int, files: int, limit: int, expected: tuple[int, int]) -> None:
    """Connections and cached files together leave the reserve free, and are never more than was asked for."""
    options = Options(max_connections=connections, files=FileOptions(cache_files=files), port=81)
    fitting = fit_descriptors(options, limit)
    assert (fitting.max_connections, fitting.files.cache_files) == expected
    assert fitting.port == 81


def test_options_that_fit_are_left_alone() -> None:
    """So that a caller sees that there is nothing to warn about."""
    options = Options()
    assert fit_descriptors(options, 1_000_000) is options
