"""A bounded form of `python -m benchmarks overload`: several times more than the server can do, for a moment.

What the benchmark measures, how much is answered and how soon, is not asserted here. What must hold on any
machine is: every answer is right or an honest refusal, the server lives, and it is as empty afterwards as
before.
"""

import hashlib
import json
import os
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import trio

from benchmarks.drivers.load_plan import Plan, Target
from tests.compiled import replaces_a_method
from tests.files.making import descriptors, wait_tick
from trio_evserver import Options, serve
from trio_evserver.semantics.message import Request
from trio_evserver.serving.answer import Answer, Looking
from trio_evserver.serving.exchange import Exchange

BODY = b"0123456789abcdef" * 64
SLOWNESS = 0.004  # seconds of the event loop that an answer takes: 250 of them a second, at most
RATE = 1500


@replaces_a_method
@pytest.mark.skipif(sys.platform != "linux", reason="the load generator is built on epoll")
@pytest.mark.parametrize("keep", [False, True], ids=["new connections", "kept connections"])
async def test_too_much(
    tmp_path: Path, keep: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Six times too much: nothing wrong is said, nothing hangs, nothing stays behind."""
    (tmp_path / "file").write_bytes(BODY)
    wait_tick(tmp_path / "file")
    before = descriptors()
    answer = Exchange.answer_nowait

    def slowly(self: Exchange, request: Request, moment: int = 0) -> Answer | Looking:
        time.sleep(SLOWNESS)
        return answer(self, request, moment)

    monkeypatch.setattr(Exchange, "answer_nowait", slowly)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve, options=Options(port=0)), tmp_path)
        port = server.addresses[0][1]
        target = Target("/file", len(BODY), hashlib.sha256(BODY).hexdigest())
        plan = Plan(
            port, (target,), RATE, connections=300 if keep else 0, keep=keep, seconds=2, patience=1, probe=0.5
        )
        counts = await load(plan)
        assert counts["right"] > 0
        assert not counts.get("wrong"), counts
        told = counts.get("right", 0) + counts.get("refused", 0)
        assert told <= counts["offered"]
        statistics = server.statistics()
        assert statistics.responses.keys() <= {200, 503}
        assert statistics.connections <= statistics.limit
        with trio.fail_after(30):
            await server.drain()
        assert server.statistics().connections == 0
    assert descriptors() == before
    seconds = len({int(record.created) for record in caplog.records})
    assert len(caplog.records) <= 2 * (seconds + 1), "refusals flood no log"


async def load(plan: Plan) -> dict[str, int]:
    """What the generator counted, of all that it asked for."""
    done = await trio.run_process(
        [sys.executable, "-m", "benchmarks.drivers.open_load"],
        stdin=plan.dump().encode() + b"\n",
        capture_stdout=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    counts: dict[str, int] = json.loads(done.stdout)["counts"]
    return counts
