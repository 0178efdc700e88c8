"""The peers of `overload`: each with the accept queue that it has by itself, which here decides.

A long queue is what every other table wants, where no connection may be lost; under overload it is what makes
an answer too late. And the literal shape, which shows what bounds are for and is nobody's choice.
"""

import dataclasses

from benchmarks.peers import debian, ours, python
from benchmarks.peers.peer import APPS, Launch, Peer, PyPI


def _literal(launch: Launch) -> list[str]:
    return [str(launch.program), str(APPS / "literal_app.py"), str(launch.root), str(launch.port)]


def _own_queue(peer: Peer) -> Peer:
    """Without the option that makes its queue longer."""

    def command(launch: Launch) -> list[str]:
        words = peer.command(launch)
        place = words.index("--backlog")
        return words[:place] + words[place + 2 :]

    return dataclasses.replace(peer, command=command)


_PYTHON = {peer.name: peer for peer in python.PEERS}

PEERS = {
    "ours": ours.PEERS[0],
    "nginx": Peer("nginx", "C", debian.NGINX, lambda launch: debian.nginx_command(launch, backlog="")),
    "granian": _own_queue(_PYTHON["granian"]),
    "uvicorn": _own_queue(_PYTHON["uvicorn"]),
    "literal": Peer("literal", "Python", PyPI(("trio",)), _literal, conditional=False, ranges=False),
}
