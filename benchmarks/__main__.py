"""python -m benchmarks NAME [options]: one command per table; NAME is one of those below (see README.md)."""

import argparse
import signal
import sys
from types import FrameType

from benchmarks import ancestor, hot, overload, slow_disk, steps

TABLES = {"ancestor": ancestor, "hot": hot, "overload": overload, "slow-disk": slow_disk, "steps": steps}


def main() -> None:
    """Run one table; every server that it started is ended when this returns, on Ctrl-C and SIGTERM too."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, table in TABLES.items():
        table.add_options(names.add_parser(name, help=(table.__doc__ or "").splitlines()[0]))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _leave)
    try:
        TABLES[options.name].main(options)
    except KeyboardInterrupt:
        sys.exit(130)


def _leave(number: int, frame: FrameType | None) -> None:
    """SIGTERM unwinds like an error, so that the servers are ended on the way out."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
