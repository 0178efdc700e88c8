"""`python -m fuzz.entries.chunked_body [CORPUS] [libFuzzer options]`."""

from fuzz.entries.harness import run
from fuzz.test_chunked_body import check

if __name__ == "__main__":
    run(check)
