"""README.md and docs/*.md, taken apart: fenced blocks, tables, links, headings."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_TABLE = re.compile(r"(?:^\|.*\|\n)+", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def name(page: Path) -> str:
    """The page, as a test's id names it."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return [text for kind, text in _FENCE.findall(page.read_text()) if kind == language]


def all_blocks(language: str) -> dict[str, str]:
    """Those of every page, by page and number: "docs/http.md 1"."""
    return {
        f"{name(page)} {number}": text
        for page in PAGES
        for number, text in enumerate(blocks(page, language), 1)
    }


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def table(page: Path, first: str) -> list[list[str]]:
    """The rows of every table whose first column is headed `first`."""
    rows: list[list[str]] = []
    for lines in _TABLE.findall(prose(page)):
        header, _, *body = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines.splitlines())
        if header[0].strip("`") == first:
            rows += body
    return rows


def links(page: Path) -> list[str]:
    """The targets of its links and pictures."""
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """What its headings are called in links, as GitHub makes them."""
    headings = _HEADING.findall(prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
