"""Law: the answer to a conditional request is that of RFC 9110 §13.2.2, transcribed here word by word.

The transcription shares nothing with the code but the text of the RFC: it makes its own sense of tags and
dates, from the small sets of them that the strategies below can write.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from trio_evserver.semantics.entity_tag import EntityTag
from trio_evserver.semantics.http_date import format_http_date
from trio_evserver.semantics.message import Request
from trio_evserver.semantics.policy import Policy
from trio_evserver.semantics.preconditions import Decision, evaluate
from trio_evserver.semantics.representation import Representation
from trio_evserver.semantics.respond import answer

DAY = 86_400
NOW = 1_753_920_000
TAG_TEXTS = ['"x"', 'W/"x"', '"y"', 'W/"y"']
LISTS = ["*", "", "x", *TAG_TEXTS, '"y", "x"', '"y",W/"x"', '"y" "x"']
DAYS = {format_http_date(day * DAY).decode(): day for day in (20_000, 20_001, 20_002)}
DATES = ["", "soon", *DAYS]

Fields = dict[str, str]


def optional(values: list[str]) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(values)


FIELDS: st.SearchStrategy[Fields] = st.fixed_dictionaries(
    {
        "if-match": optional(LISTS),
        "if-none-match": optional(LISTS),
        "if-modified-since": optional(DATES),
        "if-unmodified-since": optional(DATES),
        "if-range": optional(TAG_TEXTS + DATES),
        "range": optional(["bytes=0-0", "bytes=9-", "nonsense"]),
    }
).map(lambda fields: {name: value for name, value in fields.items() if value is not None})


def members(value: str) -> list[str]:
    """The tags of a list; none of them where the list is malformed."""
    return [] if '" "' in value else [text for text in value.replace(" ", "").split(",") if '"' in text]


def strong_match(one: str, other: str) -> bool:
    """§8.8.3.2: "both are not weak and their opaque-tags match character-by-character"."""
    return one == other and not one.startswith("W/")


def weak_match(one: str, other: str) -> bool:
    """§8.8.3.2: the same, "regardless of either or both being tagged as \"weak\""."""
    return one.removeprefix("W/") == other.removeprefix("W/")


def if_match_is_true(value: str, tag: str | None) -> bool:
    # §13.1.1: "1. If the field value is "*", the condition is true if the origin server has a current
    # representation for the target resource."
    if value == "*":
        return True
    # "2. If the field value is a list of entity tags, the condition is true if any of the listed tags match
    # the entity tag of the selected representation." "3. Otherwise, the condition is false."
    return tag is not None and any(strong_match(one, tag) for one in members(value))


def if_none_match_is_true(value: str, tag: str | None) -> bool:
    # §13.1.2: "1. If the field value is "*", the condition is false if the origin server has a current
    # representation for the target resource."
    if value == "*":
        return False
    # "2. ... false if one of the listed tags matches the entity tag of the selected representation."
    # "3. Otherwise, the condition is true."
    return not (tag is not None and any(weak_match(one, tag) for one in members(value)))


def unmodified_since_is_true(since: int, modified: int) -> bool:
    # §13.1.4: "1. If the selected representation's last modification date is earlier than or equal to the
    # date provided in the field value, the condition is true." "2. Otherwise, the condition is false."
    return modified <= since


def modified_since_is_true(since: int, modified: int) -> bool:
    # §13.1.3: "1. If the selected representation's last modification date is earlier or equal to the date
    # provided in the field value, the condition is false." "2. Otherwise, the condition is true."
    return not modified <= since


def if_range_is_true(value: str, tag: str | None, modified: int | None) -> bool:
    # §13.1.5, of a date, here a strong one: "If the HTTP-date validator provided exactly matches the
    # Last-Modified field value for the selected representation, the condition is true."
    if '"' not in value:
        return modified is not None and DAYS.get(value) == modified
    # "If the entity-tag validator provided exactly matches the ETag field value for the selected
    # representation using the strong comparison function, the condition is true." "Otherwise, the condition
    # is false."
    return tag is not None and strong_match(value, tag)


def transcribed(method: str, fields: Fields, tag: str | None, modified: int | None) -> str:
    """§13.2.2 with the steps numbered as there; `modified` is in days."""
    # §13.1.3 and §13.1.4: a date MUST be ignored where it is no valid HTTP-date, and where the resource has
    # no modification date; If-Modified-Since also where the method is neither GET nor HEAD, as step 4
    # repeats.
    unmodified_since = DAYS.get(fields.get("if-unmodified-since", ""))
    modified_since = DAYS.get(fields.get("if-modified-since", ""))
    # "1. When recipient is the origin server and If-Match is present, evaluate the If-Match precondition: if
    # true, continue to step 3; if false, respond 412 (Precondition Failed)"
    if "if-match" in fields:
        if not if_match_is_true(fields["if-match"], tag):
            return "412"
    # "2. When recipient is the origin server, If-Match is not present, and If-Unmodified-Since is present,
    # evaluate the If-Unmodified-Since precondition: if true, continue to step 3; if false, respond 412"
    elif unmodified_since is not None and modified is not None:  # noqa: SIM102 - nested, as the steps are
        if not unmodified_since_is_true(unmodified_since, modified):
            return "412"
    # "3. When If-None-Match is present, evaluate the If-None-Match precondition: if true, continue to step
    # 5; if false for GET/HEAD, respond 304 (Not Modified); if false for other methods, respond 412"
    if "if-none-match" in fields:
        if not if_none_match_is_true(fields["if-none-match"], tag):
            return "304" if method in ("GET", "HEAD") else "412"
    # "4. When the method is GET or HEAD, If-None-Match is not present, and If-Modified-Since is present,
    # evaluate the If-Modified-Since precondition: if true, continue to step 5; if false, respond 304 (Not
    # Modified)"
    elif method in ("GET", "HEAD") and modified_since is not None and modified is not None:  # noqa: SIM102 - nested, as the steps are
        if not modified_since_is_true(modified_since, modified):
            return "304"
    # "5. When the method is GET and both Range and If-Range are present, evaluate the If-Range precondition:
    # if true and the Range is applicable to the selected representation, respond 206 (Partial Content);
    # otherwise, ignore the Range header field and respond 200 (OK)"
    if method == "GET" and "range" in fields and "if-range" in fields:
        return "ranged" if if_range_is_true(fields["if-range"], tag, modified) else "200"
    # "6. Otherwise, perform the requested method"
    return "ranged" if method == "GET" and "range" in fields else "200"


def entity_tag(text: str | None) -> EntityTag | None:
    return None if text is None else EntityTag(text.removeprefix("W/").strip('"').encode(), text[0] == "W")


def encoded(fields: Fields) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in fields.items()}


TAGS = st.none() | st.sampled_from(TAG_TEXTS)
MODIFIED = st.none() | st.sampled_from([20_000, 20_001, 20_002])


@settings(max_examples=500)
@given(st.sampled_from(["GET", "HEAD", "PUT"]), FIELDS, TAGS, MODIFIED)
def test_steps_one_to_four(method: str, fields: Fields, tag: str | None, modified: int | None) -> None:
    """`evaluate` decides as the transcription does, for methods that read and for one that writes."""
    decision = evaluate(
        encoded(fields),
        entity_tag=entity_tag(tag),
        modified=None if modified is None else modified * DAY,
        is_get_or_head=method != "PUT",
        now=NOW,
    )
    said = transcribed(method, fields, tag, modified)
    expected = {"412": Decision.PRECONDITION_FAILED, "304": Decision.NOT_MODIFIED}.get(said, Decision.PROCEED)
    assert decision is expected


@settings(max_examples=500)
@given(st.sampled_from(["GET", "HEAD"]), FIELDS, TAGS, MODIFIED)
def test_all_six_steps(method: str, fields: Fields, tag: str | None, modified: int | None) -> None:
    """`answer` gives the status of the transcription; where it is the range's turn, that of the range."""
    representation = Representation(
        size=5,
        modified=None if modified is None else modified * DAY,
        modified_is_strong=True,
        entity_tag=entity_tag(tag),
        media_type=b"text/plain",
        cache_control=b"no-cache",
        content=b"01234",
        render=lambda lines: b"",
    )
    request = Request(method.encode(), b"/", b"/", None, b"h", b"HTTP/1.1", encoded(fields))
    policy = Policy(boundary=lambda: b"SEP", now=lambda: float(NOW))
    said = transcribed(method, fields, tag, modified)
    of_ranges = {"bytes=0-0": "206", "bytes=9-": "416", "nonsense": "200"}
    expected = of_ranges[fields["range"]] if said == "ranged" else said
    assert str(int(answer(request, representation, policy).status)) == expected
