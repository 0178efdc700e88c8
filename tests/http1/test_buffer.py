"""Octets in, in pieces; octets out, in order; no copy where none is needed."""

from trio_evserver.http1.buffer import Buffer


def test_one_piece_taken_whole_is_not_copied() -> None:
    """What is received in one piece and taken whole is the same object, and the buffer lets go of it."""
    buffer, piece = Buffer(), bytes(range(64))
    buffer.append(piece)
    assert buffer.take(64) is piece
    assert len(buffer) == 0
    assert buffer.data == b""


def test_pipelined_pieces_are_cut_without_moving_the_rest() -> None:
    """Taking from the front leaves the received object where it is."""
    buffer, piece = Buffer(), b"firstsecond"
    buffer.append(piece)
    assert buffer.take(5) == b"first"
    assert buffer.data is piece
    assert len(buffer) == 6
    assert buffer.take(11) == b"second"
    assert buffer.data == b""


def test_appending_keeps_the_unread_and_the_scanned() -> None:
    """What is read is dropped when more arrives, and `scanned` stays at the same octet."""
    buffer = Buffer()
    buffer.append(b"readunread")
    buffer.skip(4)
    buffer.scanned = 6
    for piece in (b"-and", b"-more"):
        buffer.append(piece)
        assert (buffer.start, buffer.scanned) == (0, 2)
    assert len(buffer) == 15
    buffer.skip(2)
    buffer.append(b"!")
    taken = buffer.take(len(buffer))
    assert taken == b"read-and-more!"
    assert type(taken) is bytes


def test_repr_shows_no_content() -> None:
    """A log line may show a buffer without showing what a peer sent."""
    buffer = Buffer()
    buffer.append(b"secret")
    assert repr(buffer) == "<Buffer of 6 octets>"
