"""`python -m fuzz.entries.ranges [CORPUS] [libFuzzer options]`."""

from fuzz.entries.harness import run
from fuzz.test_ranges import check

if __name__ == "__main__":
    run(check)
