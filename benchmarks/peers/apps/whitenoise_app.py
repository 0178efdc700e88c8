"""whitenoise before an application that knows nothing; it lists the folder once, at the start."""

# mypy: disable-error-code="import-not-found"
# The peer is installed in an environment of its own, never in the one that checks this.

import os
from collections.abc import Callable, Iterable
from typing import Any

from whitenoise import WhiteNoise


def nothing(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """404 for what whitenoise does not serve."""
    start_response("404 Not Found", [("Content-Length", "0")])
    return []


app = WhiteNoise(nothing, root=os.environ["SERVED_ROOT"])
