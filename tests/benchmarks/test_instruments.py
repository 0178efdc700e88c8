"""What the load programs print must be read right: a figure misread is worse than none."""

from collections.abc import Callable

import pytest

from benchmarks.instruments import ab, h2load, httperf, wrk
from benchmarks.instruments.load import InstrumentError, Load

HTTPERF = """\
Total: connections {opened} requests {replies} replies {replies} test-duration 2.500 s

Connection rate: 3997.4 conn/s (0.3 ms/conn, <=16 concurrent connections)

Reply size [B]: header 155.0 content {content} footer 0.0 (total 308.0)
Reply status: 1xx=0 2xx={right} 3xx=0 4xx=0 5xx={wrong}

Errors: total {errors} client-timo 5 socket-timo 0 connrefused 0 connreset 0
Errors: fd-unavail {no_descriptor} addrunavail 0 ftab-full 0 other 0
"""

H2LOAD = """\
finished in {time}, 4781.52 req/s, 1.40MB/s
requests: 10000 total, 10000 started, 10000 done, {succeeded} succeeded, 0 failed, 0 errored, 0 timeout
status codes: {right} 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 2.94MB (3080000) total, 1.04MB (1090000) headers (space savings 0.00%), 1.46MB ({data}) data
"""

AB = """\
Time taken for tests:   2.000 seconds
Complete requests:      20000
Failed requests:        7
Non-2xx responses:      3
Total transferred:      6060000 bytes
"""


def _httperf(**changes: int | float) -> httperf.Burst:
    said = {"opened": 10000, "replies": 10000, "content": 1024.0, "right": 10000, "wrong": 0, "errors": 0}
    report = HTTPERF.format(**{**said, "no_descriptor": 0, **changes})
    return httperf.parse(report, rate=4000, connections=10000, size=1024)


def test_httperf_clean() -> None:
    """10,000 right answers in 2.5 s are 4,000 a second, and clean."""
    burst = _httperf()
    assert (burst.goodput, burst.clean, burst.achieved) == (4000.0, True, 3997.4)


@pytest.mark.parametrize(
    ("changes", "errors", "of_instrument", "reason"),
    [
        ({"errors": 5, "replies": 9995, "right": 9995}, 5, 0, "connections that timed out"),
        ({"errors": 300, "no_descriptor": 300, "right": 9700}, 300, 300, "300 wrong statuses too"),
        (
            {"replies": 9700, "right": 9700, "errors": 300, "no_descriptor": 300},
            0,
            300,
            "httperf's own limit",
        ),
        ({"right": 9000, "wrong": 1000}, 1000, 0, "an answer of another status is an error"),
        (
            {"right": 9000, "wrong": 1000, "content": 940.0},
            1000,
            0,
            "refusals have bodies of their own length",
        ),
    ],
)
def test_httperf_errors_are_told_apart(
    changes: dict[str, int | float], errors: int, of_instrument: int, reason: str
) -> None:
    """What it could not open itself is never counted against the server, and nothing else is forgiven."""
    burst = _httperf(**changes)
    assert (burst.errors, burst.instrument_errors) == (errors, of_instrument), reason


@pytest.mark.parametrize(
    ("report", "reason"),
    [("", "it was ended"), (HTTPERF.partition("Errors")[0], "the end is missing")],
)
def test_httperf_failure_is_named(report: str, reason: str) -> None:
    """A report that is not whole is the instrument's failure, and no zero."""
    burst = httperf.parse(report, rate=4000, connections=10000, size=1024)
    assert burst.failure, reason
    assert not burst.clean


def test_httperf_wrong_length_fails() -> None:
    """Bodies of another length than the file's are no answers."""
    assert "153" in _httperf(content=153.0).failure


@pytest.mark.parametrize(
    ("time", "seconds"), [("2.00s", 2.0), ("500.00ms", 0.5)], ids=["seconds", "milliseconds"]
)
def test_h2load_clean(time: str, seconds: float) -> None:
    """Its time comes in whatever unit fits."""
    report = H2LOAD.format(time=time, succeeded=10000, right=10000, data=10000 * 1024)
    burst = h2load.parse(report, rate=16000, connections=10000, size=1024)
    assert burst.clean
    assert burst.goodput == 10000 / seconds


@pytest.mark.parametrize(
    ("succeeded", "right", "reason"),
    [(9000, 10000, "bodies cut short have a status too"), (10000, 9000, "redirects succeed too")],
)
def test_h2load_counts_only_whole_right_answers(succeeded: int, right: int, reason: str) -> None:
    """Only an answer that is both whole and 2xx counts."""
    report = H2LOAD.format(time="1.00s", succeeded=succeeded, right=right, data=9000 * 1024)
    burst = h2load.parse(report, rate=16000, connections=10000, size=1024)
    assert (burst.replies_ok, burst.errors) == (9000, 1000), reason


def test_h2load_wrong_length_fails() -> None:
    """Bodies that do not add up to the file's size are no answers."""
    report = H2LOAD.format(time="1.00s", succeeded=10000, right=10000, data=1530000)
    assert h2load.parse(report, rate=16000, connections=10000, size=1024).failure


def test_ab() -> None:
    """Failed requests and other statuses are taken off what was completed."""
    assert ab.parse(AB) == Load(requests=19990, received=6060000, seconds=2.0, errors=10)


def test_wrk() -> None:
    """The line of JSON counts, wherever it stands in the report."""
    line = '{"requests": 300, "bytes": 900, "us": 1500000, "errors": 2, "p50_us": 41.0}'
    assert wrk.parse(f"Running 1s test\n{line}\n") == Load(300, 900, 1.5, 2, 41.0)


@pytest.mark.parametrize("parse", [ab.parse, wrk.parse])
def test_no_report_is_an_error(parse: Callable[[str], Load]) -> None:
    """A load program that said nothing has measured nothing."""
    with pytest.raises(InstrumentError):
        parse("")
