"""granian serves its static mount in Rust; the application behind it answers only what the mount does not."""

from typing import Any


async def app(scope: Any, protocol: Any) -> None:
    """Nothing here."""
    protocol.response_empty(404, [])
