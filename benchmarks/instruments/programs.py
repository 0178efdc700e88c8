"""Which load programs are there, and how to get those that are not."""

import shutil

PACKAGES = {"httperf": "httperf", "h2load": "nghttp2-client", "wrk": "wrk", "ab": "apache2-utils"}


def missing(program: str) -> str:
    """How to get a load program, or "" if it is there; one that is not in the list is our own."""
    if program not in PACKAGES or shutil.which(program):
        return ""
    return f"{program} is not installed: apt-get install {PACKAGES[program]}"
