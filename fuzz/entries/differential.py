"""`python -m fuzz.entries.differential [CORPUS] [libFuzzer options]`."""

from fuzz.entries.harness import run
from fuzz.test_differential import check

if __name__ == "__main__":
    run(check)
