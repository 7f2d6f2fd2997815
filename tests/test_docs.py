"""Links and anchors of the documentation resolve, every page can be found, and none is too long."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from cairn.settings import ROOT, Environment
from cairn.settings.env import RENAMED

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
LINKING = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
MAX_WORDS = 2_000
UNDOCUMENTED_SETTINGS = {"CAIRN_DEBUG", "CAIRN_FAULT", "NOTIFY_SOCKET"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tokens(page: Path) -> list[Token]:
    return MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8"))


def inline(page: Path) -> Iterator[Token]:
    for token in tokens(page):
        yield from token.children or ()


def links(page: Path) -> Iterator[str]:
    for token in inline(page):
        target = token.attrGet("href") or token.attrGet("src")
        if target and not urlsplit(str(target)).scheme:
            yield unquote(str(target))


@cache
def anchors(page: Path) -> set[str]:
    """Anchors as GitHub derives them from headings: a repeated heading gets a number."""
    found: set[str] = set()
    for opening, heading in zip(tokens(page), tokens(page)[1:], strict=False):
        if opening.type == "heading_open":
            text = "".join(child.content for child in heading.children or ())
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            numbered = (slug if number == 0 else f"{slug}-{number}" for number in count())
            found.add(next(each for each in numbered if each not in found))
    return found


@pytest.mark.parametrize("page", LINKING, ids=name)
def test_every_relative_link_resolves(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_page_can_be_reached_from_the_index() -> None:
    found, waiting = {DOCS / "README.md"}, [DOCS / "README.md"]
    while waiting:
        page = waiting.pop()
        targets = {(page.parent / link.partition("#")[0]).resolve() for link in links(page)}
        new = targets.intersection(PAGES) - found
        found |= new
        waiting += new
    assert found == set(PAGES)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_page_is_too_long(page: Path) -> None:
    assert len(page.read_text(encoding="utf-8").split()) <= MAX_WORDS


def test_the_settings_page_lists_every_setting_once() -> None:
    text = (DOCS / "operate" / "settings.md").read_text(encoding="utf-8")
    current, _, renamed = text.partition("## Renamed settings")
    columns = re.findall(r"^\| (`[^|]*) \|", current, re.MULTILINE)
    listed = [name for column in columns for name in re.findall(r"`(\w+)`", column)]
    settings = {name.upper() for name in Environment.model_fields} - UNDOCUMENTED_SETTINGS
    assert sorted(listed) == sorted(settings)
    names = {(old.upper(), new.upper()) for old, new in RENAMED.items()}
    assert set(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", renamed, re.MULTILINE)) == names
    assert settings >= {new for _, new in names}


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/understand/architecture.md"])
def test_pages_name_existing_files(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    paths = re.findall(r"`((?:platform|ingestion|retrieval|web|tests|docs|deploy)/[\w./-]+)`", text)
    assert paths
    assert [path for path in paths if "/xx/" not in path and not (ROOT / path).exists()] == []
