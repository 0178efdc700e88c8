"""aiohttp's add_static on uvloop, access log off. Arguments: the folder and the port."""

# mypy: disable-error-code="import-not-found"
# The peer is installed in an environment of its own, never in the one that checks this.

import sys

import uvloop
from aiohttp import web

app = web.Application()
app.router.add_static("/", sys.argv[1])
uvloop.install()
web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), access_log=None, print=None, backlog=4096)
