"""Every input that a fuzzer ever failed on is tried again, always."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fuzz import (
    test_chunked_body,
    test_connection,
    test_differential,
    test_http1_stream,
    test_preconditions,
    test_ranges,
    test_target,
)

CHECKS: dict[str, Callable[[bytes], None]] = {
    "chunked_body": test_chunked_body.check,
    "connection": test_connection.check,
    "differential": test_differential.check,
    "http1_stream": test_http1_stream.check,
    "preconditions": test_preconditions.check,
    "ranges": test_ranges.check,
    "target": test_target.check,
}
FINDINGS = sorted((Path(__file__).parent / "findings").glob("*/*"))


@pytest.mark.parametrize("file", FINDINGS, ids=[f"{file.parent.name}-{file.name}" for file in FINDINGS])
def test_finding(file: Path) -> None:
    """What once failed holds now: each check asserts what it found wrong."""
    CHECKS[file.parent.name](file.read_bytes())


def test_each_finding_has_a_subject() -> None:
    """There are some, and none is forgotten."""
    assert {file.parent.name for file in FINDINGS} <= set(CHECKS)
    assert FINDINGS
