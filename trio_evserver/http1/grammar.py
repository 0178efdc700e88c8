"""The ABNF of RFC 9112, RFC 9110 and RFC 3986 as regular expressions over bytes, under the RFC's rule names.

Only what is strict is here: CRLF and nothing else ends a line, a line is never folded, no blank stands before
a colon.

Every repetition is possessive (`*+`, `++`) or bounded by a small count, so that no input makes the matcher
backtrack: its time is linear in the input. What a possessive repetition may eat never contains what has to
follow it.
"""

import re

# RFC 9110 §5.6.2, §5.6.3, §5.6.4
_TCHAR = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]"
_TOKEN = _TCHAR + rb"++"
_QUOTED_STRING = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'

# RFC 9110 §5.5: field-vchar = VCHAR / obs-text; between two of them blanks and tabs. Those around a field
# value are OWS, so that on the wire a line holds any of them in any order.
_FIELD_CONTENT = rb"[\t -~\x80-\xff]*+"
_FIELD_LINE = _TOKEN + rb":" + _FIELD_CONTENT

TOKEN = re.compile(_TOKEN)
FIELD_LINE = re.compile(_FIELD_LINE)
"""field-name ":" OWS field-value OWS (RFC 9112 §5), without its CRLF."""
FIELD_VALUE = re.compile(rb"(?![ \t])" + _FIELD_CONTENT + rb"(?<![ \t])")
"""field-value (RFC 9110 §5.5): what we may send, hence no blank at either end."""

# RFC 3986 §3.2.2 and appendix A
_PCT_ENCODED = rb"%[0-9A-Fa-f]{2}"
_DEC_OCTET = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4ADDRESS = rb"(?:" + _DEC_OCTET + rb"\.){3}" + _DEC_OCTET
_H16 = rb"[0-9A-Fa-f]{1,4}"
_LS32 = rb"(?:" + _H16 + rb":" + _H16 + rb"|" + _IPV4ADDRESS + rb")"


def _ipv6address() -> bytes:
    """The nine alternatives of the RFC: what "::" stands for grows from nothing to everything."""
    h16_colon = rb"(?:" + _H16 + rb":)"
    alternatives = [h16_colon + rb"{6}" + _LS32]
    for before in range(6):
        head = rb"(?:" + h16_colon + b"{0,%d}" % (before - 1) + _H16 + rb")?" if before else rb""
        alternatives.append(head + rb"::" + h16_colon + b"{%d}" % (5 - before) + _LS32)
    alternatives.append(rb"(?:" + h16_colon + rb"{0,5}" + _H16 + rb")?::" + _H16)
    alternatives.append(rb"(?:" + h16_colon + rb"{0,6}" + _H16 + rb")?::")
    return rb"(?:" + rb"|".join(alternatives) + rb")"


_IPVFUTURE = rb"[vV][0-9A-Fa-f]++\.[-0-9A-Za-z._~!$&'()*+,;=:]++"
_IP_LITERAL = rb"\[(?:" + _ipv6address() + rb"|" + _IPVFUTURE + rb")\]"
# An IPv4address is a reg-name too. RFC 3986 lets a reg-name be empty; RFC 9110 §4.2.1 forbids that for http.
_REG_NAME = rb"(?:[-0-9A-Za-z._~!$&'()*+,;=]++|" + _PCT_ENCODED + rb")++"
_URI_HOST = rb"(?:" + _REG_NAME + rb"|" + _IP_LITERAL + rb")"
# RFC 3986 has port = *DIGIT. No port has more than five.
_PORT = rb"[0-9]{1,5}"

HOST = re.compile(_URI_HOST + rb"(?::(?:" + _PORT + rb")?+)?+")
"""Host = uri-host [ ":" port ] (RFC 9110 §7.2), here never empty; user information has no place in it."""

# RFC 9112 §3.2. A target is VCHAR without "#", which no form admits; which characters of a path mean what is
# for semantics.target to say.
_TARGET = rb"[!\"$-~]++"
_PATH = rb"/[!\"$->@-~]*+"
_QUERY = rb"(?:\?([!\"$-~]*+))?+"

REQUEST_TARGET = re.compile(_TARGET)
ABSOLUTE_FORM = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?]++)(" + _PATH + rb")?+" + _QUERY)
"""Groups: authority (yet to be matched by HOST), path or None, query or None."""
AUTHORITY_FORM = re.compile(_URI_HOST + rb":" + _PORT)

# RFC 9112 §2.3
HTTP_VERSION = re.compile(rb"HTTP/([0-9])\.[0-9]")

_ORIGIN_FORM = rb"(" + _PATH + rb")" + _QUERY
_VERSION = rb"HTTP/1\.([0-9])\r\n"

COMMON_LINE = re.compile(rb"(GET|HEAD) (" + _ORIGIN_FORM + rb") " + _VERSION)
"""request-line CRLF of nearly all requests. Groups: method, request-target, path and query, minor version."""
REQUEST_HEAD = re.compile(
    # Groups: those of COMMON_LINE, path and query None for another form; and the field lines.
    rb"("
    + _TOKEN
    + rb") ("
    + _ORIGIN_FORM
    + rb"|"
    + _TARGET
    + rb") "
    + _VERSION
    + rb"((?:"
    + _FIELD_LINE
    + rb"\r\n)*+)\r\n"
)
"""request-line CRLF *( field-line CRLF ) CRLF (RFC 9112 §2.1), major version 1."""

BARE_LINE_END = re.compile(rb"\r(?=[^\n])|(?<!\r)\n")
"""CR without LF, or LF without CR (RFC 9112 §2.2); a CR that ends the input may yet be followed by its LF."""
LINE_END = re.compile(rb"\r\n|\r(?=[^\n])|\n")
"""The first end of a line, or the first octet that has no place before one."""

CONTENT_LENGTH = re.compile(rb"[0-9]{1,19}")
"""1*DIGIT (RFC 9110 §8.6); 19 digits hold every length below 2**63."""

# RFC 9112 §7.1, §7.1.1. The BWS around ";" and "=" that a recipient is asked to tolerate is refused: no
# client sends it, parsers disagree about it, and that disagreement is how requests are smuggled.
# The inner "?" is not possessive, and need not be: in Python 3.11.2 (Debian 12's) "?+" within "*+" keeps what
# an attempt that failed has matched, and "a=" was an extension.
_CHUNK_EXT = rb"(?:;" + _TOKEN + rb"(?:=(?:" + _TOKEN + rb"|" + _QUOTED_STRING + rb"))?)*+"
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})" + _CHUNK_EXT)
"""chunk-size [ chunk-ext ], without its CRLF; 16 digits hold every size below 2**64."""
