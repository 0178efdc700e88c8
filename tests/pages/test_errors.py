"""Error pages."""

from html.parser import HTMLParser
from http import HTTPStatus

import pytest

from trio_evserver.pages import errors
from trio_evserver.pages.errors import EXPLANATIONS, MEDIA_TYPE, TITLES, error_page

STATUSES = [status for status in HTTPStatus if status >= 300]


class Tags(HTMLParser):
    """The tags that are open, those that were seen, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("status", STATUSES)
def test_page(status: HTTPStatus) -> None:
    """Each status has a short, well-formed page without scripts that names its code."""
    page = error_page(status)
    tags = Tags()
    tags.feed(page.decode())
    assert tags.open == []
    assert not tags.seen & {"script", "img", "link", "a"}
    assert f"{int(status)} " in tags.text
    assert len(page) < 1500


def test_cached() -> None:
    """A page is made once."""
    assert error_page(HTTPStatus.NOT_FOUND) is error_page(HTTPStatus.NOT_FOUND)


def test_media_type_matches() -> None:
    """The page says the coding that its media type says."""
    assert MEDIA_TYPE == b"text/html; charset=utf-8"
    assert b'<meta charset="utf-8">' in error_page(HTTPStatus.NOT_FOUND)


def test_text_is_escaped() -> None:
    """The templates escape by themselves: what a status carries cannot become markup."""
    rendered = errors._ERROR_PAGE.render(code=1, title="<script>", explanation="\"&'<")
    assert "<script>" not in rendered
    assert "&#34;&amp;&#39;&lt;" in rendered


def test_tables_name_real_statuses() -> None:
    """A mistyped code would never be seen."""
    assert all(HTTPStatus(code) for code in {*EXPLANATIONS, *TITLES})


def test_titles_are_those_of_rfc_9110() -> None:
    """RFC 9110 §15.5.14 and others renamed statuses; older interpreters have the old phrases."""
    assert b"<h1>413 Content Too Large</h1>" in error_page(HTTPStatus(413))
