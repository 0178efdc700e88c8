"""The Python peers: what a Python user would reach for, each by its own documented way to serve a folder.

One worker process each, uvloop and httptools where they take them, access logs off.
"""

import os

from benchmarks.peers.peer import APPS, Launch, Peer, PyPI


def _module(launch: Launch, *arguments: str) -> list[str]:
    return [str(launch.program), "-m", *arguments]


def _app(name: str, launch: Launch) -> list[str]:
    return [str(launch.program), str(APPS / f"{name}.py"), str(launch.root), str(launch.port)]


def _granian(launch: Launch) -> list[str]:
    return _module(
        launch, "granian", "--interface", "rsgi", "--workers", "1", "--http", "1", "--no-ws", "--backlog",
        "4096", "--static-path-mount", str(launch.root), "--port", str(launch.port), "granian_app:app",
    )  # fmt: skip


def _uvicorn(launch: Launch) -> list[str]:
    return _module(
        launch, "uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level",
        "warning", "--backlog", "4096", "--port", str(launch.port), "starlette_app:app",
    )  # fmt: skip


def _hypercorn(launch: Launch) -> list[str]:
    return _module(
        launch, "hypercorn", "--worker-class", "trio", "--workers", "1", "--backlog", "4096", "--log-level",
        "WARNING", "--bind", f"127.0.0.1:{launch.port}", "starlette_app:app",
    )  # fmt: skip


def _gunicorn(launch: Launch) -> list[str]:
    return _module(
        launch, "gunicorn", "--workers", "1", "--worker-class", "gthread", "--threads", "8", "--keep-alive",
        "60", "--backlog", "4096", "--worker-connections", "16384", "--log-level", "warning",
        "--no-control-socket", "--bind", f"127.0.0.1:{launch.port}", "whitenoise_app:app",
    )  # fmt: skip


def _http_server(launch: Launch) -> list[str]:
    return _module(
        launch, "http.server", "--protocol", "HTTP/1.1", "--bind", "127.0.0.1", "--directory",
        str(launch.root), str(launch.port),
    )  # fmt: skip


def _apps(launch: Launch) -> dict[str, str]:
    inherited = os.environ.get("PYTHONPATH")
    paths = f"{APPS}{os.pathsep}{inherited}" if inherited else str(APPS)
    return {"PYTHONPATH": paths, "SERVED_ROOT": str(launch.root)}


PEERS = (
    Peer(
        "granian", "Rust", PyPI(("granian", "uvloop")), _granian,
        prefix="/static", conditional=False, ranges=False, environment=_apps,
    ),
    Peer("uvicorn", "Python", PyPI(("uvicorn[standard]", "starlette")), _uvicorn, environment=_apps),
    Peer("aiohttp", "Python", PyPI(("aiohttp", "uvloop")), lambda launch: _app("aiohttp_app", launch)),
    Peer("hypercorn", "Python", PyPI(("hypercorn[trio]", "starlette")), _hypercorn, environment=_apps),
    Peer("tornado", "Python", PyPI(("tornado",)), lambda launch: _app("tornado_app", launch)),
    Peer("gunicorn", "Python", PyPI(("gunicorn", "whitenoise")), _gunicorn, environment=_apps),
    Peer("http.server", "Python", PyPI(), _http_server, ranges=False),
)  # fmt: skip
