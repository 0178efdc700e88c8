"""The page that goes with a status of 3xx to 5xx: constant for each, with nothing of the request in it."""

from functools import cache
from http import HTTPStatus

from jinja2 import Environment, StrictUndefined

from trio_evserver.pages.templates import ERROR_PAGE

MEDIA_TYPE = b"text/html; charset=utf-8"

# Titles are the RFC 9110's where the interpreter's own, which change with its version, are older.
TITLES = {413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable"}

EXPLANATIONS = {
    301: "This page has a slash at the end of its address.",
    400: "The request was not understood.",
    403: "The server may not read this file.",
    404: "There is nothing at this address.",
    405: "Files can be read here, and nothing else.",
    408: "The request did not arrive in time.",
    412: "The file is no longer the version that was asked for.",
    413: "The request carries more than this server reads.",
    414: "The address is longer than this server reads.",
    416: "The file does not reach as far as the range that was asked for.",
    417: "This server cannot do what the request expects of it.",
    431: "The request's fields are larger than this server reads.",
    500: "The file could not be read.",
    501: "This server does not know the method of the request.",
    503: "The server is busy. Please try again in a moment.",
    505: "This server speaks HTTP/1.0 and HTTP/1.1.",
}

_ENVIRONMENT = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
_ERROR_PAGE = _ENVIRONMENT.from_string(ERROR_PAGE)


@cache
def error_page(status: HTTPStatus) -> bytes:
    """The page for `status`, of the media type MEDIA_TYPE."""
    title = TITLES.get(status, status.phrase)
    explanation = EXPLANATIONS.get(status, "")
    return _ERROR_PAGE.render(code=int(status), title=title, explanation=explanation).encode()
