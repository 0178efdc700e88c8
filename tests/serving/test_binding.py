"""From what to listen on to listening sockets."""

import errno
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from trio_evserver.serving import binding
from trio_evserver.serving.binding import BindError, ListeningSocket, format_address, open_sockets, parse_bind

PARSED = [
    ("127.0.0.1", ("127.0.0.1", 8000), "an address"),
    ("0.0.0.0:80", ("0.0.0.0", 80), "an address and a port"),
    ("localhost", ("localhost", 8000), "a name"),
    ("localhost:0", ("localhost", 0), "port 0 takes a free one, and is not the lack of a port"),
    ("localhost:65535", ("localhost", 65535), "the last port"),
    ("localhost:", ("localhost", 8000), "a colon and nothing after it"),
    ("::1", ("::1", 8000), "an IPv6 address without brackets has no port"),
    ("::", ("::", 8000), "nor has this"),
    ("[::1]", ("::1", 8000), "brackets alone"),
    ("[::1]:80", ("::1", 80), "brackets and a port"),
    ("[::ffff:127.0.0.1]:80", ("::ffff:127.0.0.1", 80), "an address within an address"),
]


@pytest.mark.parametrize(("specification", "expected", "why"), PARSED)
def test_parse_bind(specification: str, expected: tuple[str, int], why: str) -> None:
    """Host and port, or the port that is the default."""
    assert parse_bind(specification, 8000) == expected, why


NONE = ["", ":80", "[]:80", "[::1", "[::1]80", "[::1]x:80", "a:x", "a:-1", "a:65536", "a:8 0", "a:\u0661"]
NONE += ["1:2:3", "::1::", "[1:2]", "a:" + "9" * 5000]


@pytest.mark.parametrize("specification", NONE)
def test_what_is_no_address(specification: str) -> None:
    """ValueError, and the text names what was wrong."""
    with pytest.raises(ValueError, match=r".") as refused:
        parse_bind(specification, 8000)
    assert repr(specification)[:20] in str(refused.value)


@pytest.mark.parametrize(
    ("address", "text"), [(("127.0.0.1", 80), "127.0.0.1:80"), (("::1", 80, 0, 0), "[::1]:80")]
)
def test_format_address(address: tuple[str, int], text: str) -> None:
    """As a URL has it."""
    assert format_address(address) == text


@contextmanager
def opened(*binds: str, port: int = 0) -> Iterator[list[socket.socket]]:
    sockets = open_sockets(binds, port)
    try:
        yield sockets
    finally:
        for one in sockets:
            one.close()


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback here")


@needs_ipv6
def test_both_loopbacks_get_the_same_port() -> None:
    """Port 0 is one free port for all addresses: one URL for a person to remember."""
    with opened("127.0.0.1", "::1") as (v4, v6):
        assert v4.getsockname()[1] == v6.getsockname()[1] != 0
        assert (v4.family, v6.family) == (socket.AF_INET, socket.AF_INET6)


@needs_ipv6
def test_a_port_that_is_taken_on_the_other_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another free port is tried where the first choice is somebody else's at the second address."""
    listen = binding._listen
    tried: list[int] = []

    def taken_once(family: int, address: tuple[str, int]) -> socket.socket:
        if family == socket.AF_INET6:
            tried.append(address[1])
            if len(tried) == 1:
                raise BindError(errno.EADDRINUSE, "taken")
        return listen(family, address)

    monkeypatch.setattr(binding, "_listen", taken_once)
    with opened("127.0.0.1", "::1") as (v4, v6):
        assert v4.getsockname()[1] == v6.getsockname()[1] == tried[1]


def test_the_sockets_listen_and_do_not_block() -> None:
    """A client can connect at once, and who accepts without one is not made to wait."""
    with opened("127.0.0.1") as (listener,):
        with pytest.raises(BlockingIOError):
            listener.accept()
        with socket.create_connection(listener.getsockname()) as client:
            client.sendall(b"x")
            listener.accept()[0].close()


def test_no_address_is_listened_on_twice() -> None:
    """A name that stands for one address twice, as localhost may, is one socket."""
    with opened("127.0.0.1") as (first,), pytest.raises(BindError):
        open_sockets(["127.0.0.1"], first.getsockname()[1])


def test_a_busy_port() -> None:
    """BindError with a sentence that names the address and the remedy."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BindError) as refused:
            open_sockets(["127.0.0.1"], port)
    assert refused.value.errno == errno.EADDRINUSE
    assert f"127.0.0.1:{port}" in str(refused.value)
    assert "--port" in str(refused.value)


def test_a_failure_closes_what_was_open() -> None:
    """The second address fails (it is the first once more), so the first is free again."""
    with opened("127.0.0.1") as (listener,):
        port = listener.getsockname()[1]
    with pytest.raises(BindError):
        open_sockets(["127.0.0.1", f"127.0.0.1:{port}"], port)
    with opened("127.0.0.1", port=port) as (again,):
        assert again.getsockname()[1] == port


def without_ipv6(family: int, address: tuple[str, int]) -> socket.socket:
    if family == socket.AF_INET6:
        raise BindError(errno.EAFNOSUPPORT, "no such family")
    return LISTEN(family, address)


LISTEN = binding._listen


def test_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without IPv6 serves on the other loopback, without a word."""
    monkeypatch.setattr(binding, "_listen", without_ipv6)
    with opened("127.0.0.1", "::1") as (only,):
        assert only.family == socket.AF_INET


def test_nothing_but_ipv6_and_none_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none of the addresses can be had, that is an error."""
    monkeypatch.setattr(binding, "_listen", without_ipv6)
    with pytest.raises(BindError, match="no such family"):
        open_sockets(["::1"], 0)


def test_an_address_of_another_machine() -> None:
    """TEST-NET-1 (RFC 5737) is nobody's."""
    with pytest.raises(BindError, match=r"192\.0\.2\.1:"):
        open_sockets(["192.0.2.1"], 0)


def test_a_name_that_is_none() -> None:
    """A name that no resolver knows (RFC 6761 §6.4) is a BindError, too."""
    with pytest.raises(BindError, match=r"'host\.invalid'"):
        open_sockets(["host.invalid"], 0)


def test_a_listening_socket() -> None:
    """It is what it was made of, and accepts what any other would."""
    with socket.create_server(("127.0.0.1", 0)) as plain:
        address, descriptor = plain.getsockname(), plain.detach()
    with ListeningSocket(fileno=descriptor) as listener, socket.create_connection(address) as client:
        assert (listener.family, listener.type) == (socket.AF_INET, socket.SOCK_STREAM)
        accepted, peer = listener.accept()
        with accepted:
            assert (accepted.family, accepted.type) == (socket.AF_INET, socket.SOCK_STREAM)
            assert peer == client.getsockname()


@pytest.mark.skipif(not hasattr(socket, "TCP_DEFER_ACCEPT"), reason="only Linux keeps the silent")
def test_the_silent_wait_in_the_kernel() -> None:
    """Whoever connects is accepted with the first that it says; if it says nothing, a little later."""
    with opened("127.0.0.1") as (listener,):
        waiting = select.poll()
        waiting.register(listener, select.POLLIN)
        with (
            socket.create_connection(listener.getsockname()) as silent,
            socket.create_connection(listener.getsockname()) as talking,
        ):
            assert not waiting.poll(0)
            talking.sendall(b"x")
            assert waiting.poll(10_000)
            accepted, peer = listener.accept()
            assert (peer, accepted.recv(1)) == (talking.getsockname(), b"x")
            accepted.close()
            assert not waiting.poll(0)
            assert waiting.poll(10_000)
            accepted, peer = listener.accept()
            assert peer == silent.getsockname()
            accepted.close()
