"""The page of all pieces: complete in every theme, and what it shows is what the stylesheet has."""

import re
from collections import Counter
from collections.abc import Callable

from django.test import Client

from cairn.accounts.models import User
from tests.web.pages.conftest import text_of
from tests.web.pages.test_styles import rules
from web.pages.console.components import COLOURS, THEMES, TYPES

SignIn = Callable[[User], Client]
KINDS = ("button", "note", "tag", "verdict", "menu")


def test_every_theme_shows_every_piece(signed_in: SignIn, admin: User) -> None:
    html = text_of(signed_in(admin).get("/admin/components"))
    panes = html.split('<div class="specimen"')[1:]
    assert len(panes) == len(THEMES)
    found = [Counter(re.findall(r'class="([^"]+)"', pane.partition("</details>")[0])) for pane in panes]
    assert found[0] == found[1] == found[2] == found[3]
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_component_page_shows_every_variant(signed_in: SignIn, admin: User) -> None:
    """Each variant in the stylesheet is on the page."""
    shown = {
        name for names in re.findall(r'class="([^"]+)"', _page(signed_in, admin)) for name in names.split()
    }
    styled = {name for selector, _, _ in rules() for name in re.findall(r"\.([\w-]+)", selector)}
    kinds = {name for name in styled if name.partition("-")[0] in KINDS and name not in PLACED}
    assert kinds - shown == set()


PLACED = {"menu-anchor", "menu-up", "menu-up-right", "menu-down", "menu-fixed"}
"""Where a menu is put, not what it looks like."""


def test_component_page_shows_the_colours_and_type_of_the_stylesheet() -> None:
    styled = {
        name for selector, _, _ in rules() for name in re.findall(r"\.(swatch-[\w-]+|type-[\w-]+)", selector)
    }
    assert styled == {f"swatch-{name}" for name in COLOURS} | {f"type-{name}" for name in TYPES}


def _page(signed_in: SignIn, admin: User) -> str:
    return text_of(signed_in(admin).get("/admin/components"))
