"""`python -m fuzz.entries.preconditions [CORPUS] [libFuzzer options]`."""

from fuzz.entries.harness import run
from fuzz.test_preconditions import check

if __name__ == "__main__":
    run(check)
