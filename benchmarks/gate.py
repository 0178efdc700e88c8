"""Before a number counts: does the peer give the right answer?

The body is compared byte for byte with what it must be. Content-Length, 304 and Range are asked for where the
peer claims them; what fails there is marked beside its figures, and a row that measures it gives no figure.
"""

import http.client
from dataclasses import dataclass

from benchmarks.client import Answer, ask
from benchmarks.documents import Document
from benchmarks.peers.peer import Peer

RANGE_LENGTH = 64 * 1024


@dataclass(frozen=True)
class Verdict:
    """What the gate found. `refused` is why no figure counts ("" if it may); `marks` are failings to tell.

    `validator` is the field that makes a request conditional on this representation, if the peer answers 304
    to it.
    """

    refused: str = ""
    marks: tuple[str, ...] = ()
    validator: tuple[str, str] | None = None
    ranges: bool = False


def check(peer: Peer, port: int, document: Document) -> Verdict:
    """Ask for a document whole, conditionally and in part."""
    target = peer.prefix + document.path
    try:
        whole = ask(port, target, document.pieces())
        if whole.status != 200 or not whole.matches:
            return Verdict(refused=f"status {whole.status}" if whole.status != 200 else "wrong body")
        marks = []
        if whole.fields.get("content-length") != str(document.size):
            marks.append("no Content-Length")
        validator = _validator(port, target, whole) if peer.conditional else None
        ranges = peer.ranges and _gives_ranges(port, target, document)
    except (OSError, http.client.HTTPException) as error:
        return Verdict(refused=f"{type(error).__name__}: {error}")
    marks += [] if validator else ["no 304"]
    marks += [] if ranges else ["no Range"]
    return Verdict(marks=tuple(marks), validator=validator, ranges=ranges)


def check_body(peer: Peer, port: int, document: Document) -> str:
    """Why a further document of a row is not served right, or ""."""
    try:
        whole = ask(port, peer.prefix + document.path, document.pieces())
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    return (
        ""
        if whole.status == 200 and whole.matches
        else f"{document.path}: status {whole.status} or wrong body"
    )


def middle(document: Document) -> tuple[int, int]:
    """First byte and length of the part asked for: 64 KiB from the middle, or half of a smaller file."""
    length = min(RANGE_LENGTH, document.size // 2)
    return document.size // 2, length


def range_field(document: Document) -> str:
    """The Range field for that part."""
    first, length = middle(document)
    return f"bytes={first}-{first + length - 1}"


def _validator(port: int, target: str, whole: Answer) -> tuple[str, str] | None:
    for name, given in (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified")):
        if given in whole.fields:
            field = (name, whole.fields[given])
            again = ask(port, target, iter(()), dict([field]))
            if again.status == 304 and again.matches:
                return field
    return None


def _gives_ranges(port: int, target: str, document: Document) -> bool:
    part = ask(port, target, iter([document.part(*middle(document))]), {"Range": range_field(document)})
    return part.status == 206 and part.matches
