"""Reads what a server says, so strictly that nothing wrong is overlooked or repaired."""

import re
from typing import NamedTuple

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [ -~]+")
# Canonical case: "Content-Length", "ETag", "WWW-Authenticate".
_FIELD_LINE = re.compile(rb"((?:[A-Z][A-Za-z]*)(?:-[A-Z][A-Za-z]*)*): ([!-~](?:[ -~]*[!-~])?)")


class Answer(NamedTuple):
    """A response; `head` is all of it but the body, as it came."""

    status: int
    fields: dict[str, str]
    body: bytes
    head: bytes


def read_answers(data: bytes, *methods: str) -> list[Answer]:
    """The answers that `data` consists of, to requests with these methods; GET where they are not named.

    Fails on whatever is not exactly as RFC 9112 has it, and where an octet is missing or left over.
    """
    answers: list[Answer] = []
    final = 0
    while data:
        method = methods[final] if final < len(methods) else "GET"
        answer, data = _read_answer(data, method)
        final += answer.status >= 200
        answers.append(answer)
    return answers


def read_answer(data: bytes, method: str = "GET") -> Answer:
    """The only answer in `data`."""
    (answer,) = read_answers(data, method)
    return answer


def _read_answer(data: bytes, method: str) -> tuple[Answer, bytes]:
    head, end, rest = data.partition(b"\r\n\r\n")
    assert end, f"no head: {data[:200]!r}"
    status_line, *lines = head.split(b"\r\n")
    match = _STATUS_LINE.fullmatch(status_line)
    assert match, f"no status line: {status_line!r}"
    status = int(match[1])
    fields = _read_fields(lines)
    if status < 200 or status in (204, 304):
        assert "Content-Length" not in fields
        length = 0
    else:
        length = 0 if method == "HEAD" else int(fields["Content-Length"])
    assert len(rest) >= length, f"{len(rest)} octets of a body of {length}"
    return Answer(status, fields, rest[:length], head + end), rest[length:]


def _read_fields(lines: list[bytes]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        match = _FIELD_LINE.fullmatch(line)
        assert match, f"no field line: {line!r}"
        name, value = match[1].decode(), match[2].decode()
        assert name not in fields, f"{name} twice"
        fields[name] = value
    return fields
