"""Rules for every template and script."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from cairn.accounts.models import User
from tests.web.pages.conftest import text_of

WEB = Path(__file__).resolve().parents[3] / "web"
TEMPLATES = sorted((WEB / "templates").rglob("*.html"))
SCRIPTS = sorted((WEB / "static" / "js").glob("*.js"))
STYLES = sorted((WEB / "static" / "css").glob("*.css"))


def name(path: Path) -> str:
    return str(path.relative_to(WEB))


@pytest.mark.parametrize("template", TEMPLATES, ids=name)
def test_templates_have_nothing_that_the_csp_blocks(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"<[^>]*\sstyle\s*=", text)
    assert not re.search(r"<[^>]*\son[a-z]+\s*=", text)
    assert "<style" not in text
    assert "javascript:" not in text
    assert not re.search(r"hx-on|hx-vars|hx-vals='js:|hx-trigger=\"[^\"]*\[", text)
    for tag in re.findall(r"<script[^>]*>", text):
        assert "src=" in tag


@pytest.mark.parametrize("path", [*TEMPLATES, *SCRIPTS, *STYLES], ids=name)
def test_pages_reference_no_other_host(path: Path) -> None:
    hosts = re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}[^\s\"'`)]*", path.read_text())
    assert not [host for host in hosts if not host.endswith("www.w3.org/2000/svg")]


@pytest.mark.parametrize("script", SCRIPTS, ids=name)
def test_scripts_insert_only_server_html(script: Path) -> None:
    text = script.read_text()
    for way in ("outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "cssText"):
        assert way not in text
    assert text.count("innerHTML") == (1 if script.name == "dom.js" else 0)


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


COLOURS = {
    found[0]: (found[1], found[2])
    for found in re.findall(
        r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", STYLES[0].read_text()
    )
}
GROUNDS = ("ground", "surface", "raised", "sunken")
TEXTS = [
    *((ink, ground) for ink in ("ink", "ink-2", "ink-3", "accent", "bad") for ground in GROUNDS),
    *((ink, "hover") for ink in ("ink", "ink-2")),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    ("accent-strong", "accent-soft"),
    ("warn", "warn-soft"),
    ("bad", "bad-soft"),
    ("ink", "lichen"),
    ("ground", "ink"),
]


@pytest.mark.parametrize(("ink", "ground"), TEXTS)
def test_text_is_legible_in_both_themes(ink: str, ground: str) -> None:
    for theme in (0, 1):
        assert contrast(COLOURS[ink][theme], COLOURS[ground][theme]) >= 4.5


@pytest.mark.parametrize("ground", GROUNDS)
def test_edges_of_fields_can_be_seen_in_both_themes(ground: str) -> None:
    for theme in (0, 1):
        assert contrast(COLOURS["line-strong"][theme], COLOURS[ground][theme]) >= 3


@pytest.mark.parametrize("path", ["/", "/library", "/account", "/no/such/page"])
def test_csp_allows_only_own_scripts_and_styles(
    signed_in: Callable[[User], Client], rob: User, path: str
) -> None:
    policy = signed_in(rob).get(path)["Content-Security-Policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"):
        assert rule in policy
    assert "unsafe" not in policy


def test_missing_page_has_the_product_design(signed_in: Callable[[User], Client], rob: User) -> None:
    response = signed_in(rob).get("/no/such/page")
    assert response.status_code == 404
    assert "Page not found" in text_of(response)
    assert "css/cairn.css" in text_of(response)
