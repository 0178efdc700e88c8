"""`python -m fuzz.entries.connection [CORPUS] [libFuzzer options]`."""

from fuzz.entries.harness import run
from fuzz.test_connection import check

if __name__ == "__main__":
    run(check)
