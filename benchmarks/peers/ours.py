"""trio_evserver: by its command line, as a user starts it."""

from benchmarks.peers.peer import Launch, Ours, Peer


def _command(launch: Launch) -> list[str]:
    return [
        str(launch.program), "-m", "trio_evserver", str(launch.root), "--port", str(launch.port),
        "--bind", "127.0.0.1", "--access-log", "combined" if launch.access_log else "off", "-q",
    ]  # fmt: skip


PEERS = (
    Peer("ours", "Python", Ours(), _command, can_log=True, logs_to_output=True),
    Peer("sources", "Python", Ours(compiled=False), _command, can_log=True, logs_to_output=True),
)
