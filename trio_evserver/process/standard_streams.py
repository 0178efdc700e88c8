"""The three descriptors that a process is expected to begin with."""

import os


def open_missing_streams() -> None:
    """Open /dev/null for each of 0, 1 and 2 that the parent closed.

    Otherwise the first socket would take the number, and the log would be written to a client.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # open(2) returns the lowest number that is free, which is this one.
            os.open(os.devnull, os.O_RDWR)
