"""tornado's StaticFileHandler in one process, access log off. Arguments: the folder and the port."""

# mypy: disable-error-code="import-not-found"
# The peer is installed in an environment of its own, never in the one that checks this.

import asyncio
import sys

from tornado.web import Application, StaticFileHandler


async def main() -> None:
    """Serve until ended."""
    app = Application(
        [("/(.*)", StaticFileHandler, {"path": sys.argv[1]})], log_function=lambda handler: None
    )
    app.listen(int(sys.argv[2]), address="127.0.0.1", backlog=4096)
    await asyncio.Event().wait()


asyncio.run(main())
