"""Header fields (RFC 9110 §5).

Two forms, because the two directions ask different questions. A request's fields are looked up by name:
they are a mapping from the lower-case name to the value, repeated field lines combined with a comma as §5.3
allows; the parser has refused the repetitions that §5.3 does not allow (Host, Content-Length). A response's
fields are written in order: they are a tuple of field lines.
"""

from collections.abc import Mapping
from typing import TypeAlias

RequestFields: TypeAlias = Mapping[bytes, bytes]
"""Lower-case field name to combined field value, without the blanks around it."""

FieldLine: TypeAlias = tuple[bytes, bytes]
"""One field line of a response: name in canonical case, value."""

FieldLines: TypeAlias = tuple[FieldLine, ...]
