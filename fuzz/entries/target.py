"""`python -m fuzz.entries.target [CORPUS] [libFuzzer options]`."""

from fuzz.entries.harness import run
from fuzz.test_target import check

if __name__ == "__main__":
    run(check)
