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
FINDINGS = Path(__file__).parent / "findings"


@pytest.mark.parametrize("subject", CHECKS)
def test_findings(subject: str) -> None:
    """What once failed holds now."""
    for file in sorted((FINDINGS / subject).glob("*")):
        CHECKS[subject](file.read_bytes())


def test_each_finding_has_a_subject() -> None:
    """No directory of findings is forgotten."""
    assert {folder.name for folder in FINDINGS.glob("*")} <= set(CHECKS)
