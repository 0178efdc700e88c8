"""Starlette's StaticFiles, mounted alone: no middleware."""

# mypy: disable-error-code="import-not-found"
# The peer is installed in an environment of its own, never in the one that checks this.

import os

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

app = Starlette(routes=[Mount("/", StaticFiles(directory=os.environ["SERVED_ROOT"]))])
