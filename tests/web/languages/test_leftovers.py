"""Every page of the table of routes, with a mark around each text that goes through translation: what people
see beside the marks are names and other data, or a text that somebody forgot to wrap."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import lxml.html
import pytest
from django.utils import translation
from django.utils.safestring import SafeData, mark_safe

from tests.web.security.guards import Door
from tests.web.security.matrix import from_elsewhere, send
from tests.web.security.routes import ROUTES
from tests.web.security.world import SECRET, World

PAGES = [
    route
    for route in ROUTES
    if route.method == "GET"
    and route.door in {Door.PAGE, Door.FRAGMENT, Door.PUBLIC}
    and not route.path.startswith(("/healthz", "/readyz", "/api", "/v1", "/scim"))
]
ATTRIBUTES = (
    "alt",
    "aria-label",
    "data-confirm",
    "data-heading",
    "data-said",
    "data-text",
    "data-yes",
    "label",
    "placeholder",
    "title",
)
OPAQUE = {"code", "kbd", "pre", "script", "style"}
DATA = (
    SECRET,
    "Handbook",
    "handbook",
    "Elsewhere",
    "elsewhere",
    "Finance",
    "admin",
    "manager",
    "reader",
    "editor",
    "nobody",
    "stranger",
    "Creators",
    "creator",
    "gone",
    "una",
    "matrix",
    "spare",
    "umbra.md",
    "board/",
    "u@example.org",
    "drive",
    "/srv",
    "run",
    "gold",
    "umbra.pdf",
    "mia",
    "rob",
    "scim",
    "sheila",
    "all-MiniLM-L6-v2",
    "SmolLM2-135M-Instruct",
    "smollm2-135m",
    "qwen2.5-coder-1.5b",
    "mistral",
    "test,",
    "mistral",
)
"""What is called so in the world of these tests."""
NAMES = (
    "Cairn",
    "English",
    "Deutsch",
    "JSON Lines",
    "PDF",
    "Tesseract",
    "LibreOffice",
    "Pandoc",
    "nDCG@10",
    "BM25",
    "UTC",
    "REST",
    "ZIP",
    "JSON",
    "MB",
    "KB",
)
CODES = (
    "//*[contains(@class, 'avatar')] | //select[@id='audit-action']"
    " | //section[@aria-labelledby='audit-title']//tbody | //*[@lang and not(self::html)]"
)
"""The beginnings of names; what the audit log holds, which is the same for programs and people; and what says
itself which language it is in."""
_MARKED = re.compile(r"⟦[^⟦⟧]*⟧")
_WORD = re.compile(r"[^\W\d_]{2,}")


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restores the language afterwards: German requests leave it active for the tests that follow."""
    for name in ("gettext", "ngettext", "pgettext", "npgettext"):
        monkeypatch.setattr(translation._trans, name, _marking(getattr(translation._trans, name)))
    with translation.override(translation.get_language()):
        yield


def _marking(translate: Callable[..., str]) -> Callable[..., str]:
    def translated(*args: Any) -> str:
        text = translate(*args)
        bracketed = f"⟦{text}⟧" if text else text
        return mark_safe(bracketed) if isinstance(text, SafeData) else bracketed

    return translated


@pytest.mark.slow
@pytest.mark.parametrize("name", ["admin", "manager"])
def test_every_page_text_is_translatable(world: World, marked: None, name: str) -> None:
    ticket = next(each for each in world.tickets if each.actor.name == name)
    client = from_elsewhere()
    left: dict[str, str] = {}
    for route in PAGES:
        response = send(route, ticket, world, client, **{"Accept-Language": "de"})
        if response.status_code < 300 and "html" in response.get("Content-Type", ""):
            for text in leftovers(response.content.decode()):
                left.setdefault(text, str(route))
    assert not left, "\n".join(f"{route}: {text}" for text, route in left.items())


def test_untranslated_texts_are_detected() -> None:
    assert len(PAGES) > 40
    assert list(leftovers('<p>⟦gut⟧ <b title="seen">left</b> <code>x</code> Handbook</p>')) == [
        "left",
        "seen",
    ]


def leftovers(html: str) -> Iterator[str]:
    while (less := _MARKED.sub("", html)) != html:
        html = less
    root = lxml.html.fromstring(f"<div>{html}</div>")
    for codes in root.xpath(CODES):
        codes.drop_tree()
    for text in _texts(root):
        if _WORD.search(_without_data(text)):
            yield " ".join(text.split())


def _texts(root: lxml.html.HtmlElement) -> Iterator[str]:
    for node in root.iter():
        if not isinstance(node.tag, str):
            continue
        if node.tag not in OPAQUE:
            yield node.text or ""
        yield from (node.get(name, "") for name in ATTRIBUTES)
        yield node.tail or ""


def _without_data(text: str) -> str:
    for each in sorted((*DATA, *NAMES), key=len, reverse=True):
        text = text.replace(each, "")
    return text
