"""`python -m fuzz.entries.http1_stream [CORPUS] [libFuzzer options]`."""

from fuzz.entries.harness import run
from fuzz.test_http1_stream import check

if __name__ == "__main__":
    run(check)
