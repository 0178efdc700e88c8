"""The collector is told to come by rarely (process/run.py), so nothing may wait for it."""

import gc
from pathlib import Path

import pytest
import trio

from tests.serving.conversations import opened, request, talk


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param((request(),), id="a small file"),
        pytest.param((request("/big.bin"),), id="a large one, streamed"),
        pytest.param((request("/absent"),), id="none"),
        pytest.param((b"nonsense\r\n\r\n",), id="a refused head"),
        pytest.param((request(), request(), request()), id="several requests"),
    ],
)
async def test_a_connection_leaves_no_cycles(root: Path, pieces: tuple[bytes, ...]) -> None:
    """Whatever a connection was made of is gone when it is, without a collection."""
    async with opened(root) as site:
        await talk(site, *pieces)
        await trio.testing.wait_all_tasks_blocked()
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for _ in range(5):
                await talk(site, *pieces)
            await trio.testing.wait_all_tasks_blocked()
            gc.collect()
            ours = {type(found).__qualname__ for found in gc.garbage if _is_ours(found)}
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert ours == set()


def _is_ours(found: object) -> bool:
    return type(found).__module__.startswith("trio_evserver.")
