"""The descriptors 0, 1 and 2."""

import os
import subprocess
import sys

PROGRAM = """
import os, sys
for descriptor in map(int, sys.argv[1:]):
    os.close(descriptor)
from trio_evserver.process.standard_streams import open_missing_streams
open_missing_streams()
free = os.open("/", os.O_RDONLY)
null = os.stat(os.devnull)
sys.exit(0 if free > 2 and all(os.path.samestat(os.fstat(int(d)), null) for d in sys.argv[1:]) else 1)
"""


def test_missing_streams_are_opened() -> None:
    """A stream that the parent closed becomes /dev/null, and no other file gets its number."""
    for closed in (["1"], ["2"], ["0", "1", "2"]):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *closed], stderr=subprocess.DEVNULL, check=False
        )
        assert done.returncode == 0


def test_streams_that_are_there_stay() -> None:
    """Nothing is opened where nothing is missing."""
    program = (
        "import os; from trio_evserver.process.standard_streams import open_missing_streams as o; "
        "before = os.fstat(1); o(); assert os.path.samestat(before, os.fstat(1)); print('here')"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"here" + os.linesep.encode()
