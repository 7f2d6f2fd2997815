"""Links and anchors of the documentation resolve, every page can be found, and none is too long. German pages
say the same as English ones, in the words of the interface.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from babel.messages.pofile import read_po
from markdown_it import MarkdownIt
from markdown_it.token import Token

from cairn.settings import ROOT, Environment
from cairn.settings.env import RENAMED

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
LINKING = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
MAX_WORDS = 2_000
GERMAN = DOCS / "de"
TRANSLATED = ("use", "get-started", "administer")
NOT_YET_ALL = DOCS / "administer" / "sources"
"""Some of these pages have no translation yet."""
OF_OTHER_PROGRAMS = {"docs/administer/sources/redmine.md": {"Administration", "Settings", "API"}}
"""Names of their pages that ours have, too, in other German words."""
ORIGINALS = [
    page
    for page in PAGES
    if page.relative_to(DOCS).parts[0] in TRANSLATED
    and (not page.is_relative_to(NOT_YET_ALL) or (GERMAN / page.relative_to(DOCS)).exists())
]
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
def test_pages_have_a_maximum_length(page: Path) -> None:
    assert len(page.read_text(encoding="utf-8").split()) <= MAX_WORDS


def test_settings_page_lists_every_setting_once() -> None:
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


def translation_of(page: Path) -> Path:
    return GERMAN / page.relative_to(DOCS)


def test_every_page_for_users_and_admins_has_a_german_one() -> None:
    expected = {translation_of(page) for page in ORIGINALS} | {GERMAN / "README.md"}
    assert set(GERMAN.rglob("*.md")) == expected


def outline(page: Path) -> list[str]:
    """The headings' levels, and the rows of tables and items of lists below them."""
    counted = {"heading_open", "tr_open", "list_item_open", "code_block"}
    return [token.tag or token.type for token in tokens(page) if token.type in counted]


@pytest.mark.parametrize("page", ORIGINALS, ids=name)
def test_german_page_has_the_outline_of_the_english_one(page: Path) -> None:
    assert outline(translation_of(page)) == outline(page)


def exact_texts(page: Path) -> set[str]:
    """Names of settings, options and codes, and examples of commands, without their comments."""
    spans = {token.content for token in inline(page) if token.type == "code_inline"}
    names = {span for span in spans if re.search(r"_|^[-/.]|manage\.py|^[A-Z]", span)}
    blocks = (token.content for token in tokens(page) if token.type == "code_block")
    return names.union(re.sub(r"#\s.*", "", block) for block in blocks)


def numbers(page: Path) -> set[str]:
    """Numbers of several digits, without separators, which differ between the languages."""
    text = "\n".join(token.content for token in tokens(page) if token.type == "inline")
    found = re.findall(r"\d[\d.,]*\d", re.sub(r"\]\([^)]*\)", "]", text))
    return {re.sub("[.,]", "", number) for number in found}


@pytest.mark.parametrize("page", ORIGINALS, ids=name)
def test_german_page_names_the_same_settings_and_numbers(page: Path) -> None:
    german = translation_of(page)
    assert exact_texts(german) == exact_texts(page)
    assert numbers(german) == numbers(page)


@cache
def german_names() -> dict[str, str]:
    """Texts of the interface."""
    with (ROOT / "web" / "locale" / "de" / "LC_MESSAGES" / "django.po").open("rb") as file:
        messages = [each for each in read_po(file) if isinstance(each.id, str) and each.id]
    return {
        str(each.id).replace("’", "'"): str(each.string).replace("\N{SOFT HYPHEN}", "") for each in messages
    }


def prose(page: Path) -> Iterator[str]:
    """Yield paragraphs and items without code."""
    for token in tokens(page):
        if token.type == "inline":
            yield " ".join(re.sub(r"`[^`]*`", "", token.content).split())


def named(page: Path, opening: str, closing: str) -> set[str]:
    """Bold and quoted texts, and cells of tables."""
    found = set[str]()
    for text in prose(page):
        found.update(re.findall(r"\*\*(.+?)\*\*", text))
        found.update(re.findall(f"{opening}([^{closing}]+){closing}", text))
    return found | cells(page)


def cells(page: Path) -> set[str]:
    pairs = zip(tokens(page), tokens(page)[1:], strict=False)
    return {cell.content for opening, cell in pairs if opening.type == "td_open"}


@pytest.mark.parametrize("page", ORIGINALS, ids=name)
def test_german_page_uses_the_names_of_the_german_interface(page: Path) -> None:
    names = german_names()
    ours = named(page, '"', '"') - OF_OTHER_PROGRAMS.get(name(page), set())
    expected = {names[text] for text in ours if text in names}
    assert expected - named(translation_of(page), "„", "“") == set()


def test_german_pages_link_to_german_pages() -> None:
    for page in sorted(GERMAN.rglob("*.md")):
        targets = {(page.parent / link.partition("#")[0]).resolve() for link in links(page)}
        assert targets.isdisjoint(ORIGINALS), page


def test_german_pages_use_formal_address_and_german_quotation_marks() -> None:
    for page in sorted(GERMAN.rglob("*.md")):
        for text in prose(page):
            assert not re.search(r"\b(?:du|dein\w*|dir|dich|kannst|musst)\b", text, re.IGNORECASE), text
            assert not re.search("[–—]", text), text
            assert re.sub("[^„“]", "", text).replace("„“", "") == "", text
