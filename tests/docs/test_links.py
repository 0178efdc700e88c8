"""What the pages point to exists."""

import re
from pathlib import Path

import pytest

from tests.docs.markdown import PAGES, ROOT, anchors, links, name, prose

_MODULE = re.compile(r"`((?:\w+/)*\w+\.py)`")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link names a file or directory of the repository, and a heading in it if it says so."""
    for link in links(page):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_modules_exist(page: Path) -> None:
    """A module in backticks is in the package, or in the repository."""
    for module in _MODULE.findall(prose(page)):
        assert (ROOT / "trio_evserver" / module).is_file() or (ROOT / module).is_file(), module


def test_every_page_can_be_reached() -> None:
    """README.md links to each page of docs/."""
    assert {name(page) for page in PAGES if page.parent.name == "docs"} <= set(links(PAGES[0]))
