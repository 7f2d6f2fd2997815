"""The administration's sections: everyone is led to what is open to them, and to nothing else."""

import re
from collections.abc import Callable

from django.test import Client

from cairn.access.models import Role
from cairn.accounts.models import User
from cairn.library.models import KnowledgeBase
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]
LINK = re.compile(r'<a href="(/admin[^"]*)"( aria-current="page")?>')


def sections(client: Client, path: str) -> dict[str, bool]:
    html = text_of(client.get(path))
    listed = html.partition('<nav class="sections"')[2].partition("</nav>")[0]
    return {url: bool(current) for url, current in LINK.findall(listed)}


def test_every_listed_console_section_opens(
    signed_in: SignIn, admin: User, mia: User, rob: User, grant: Callable[[User, Role], None]
) -> None:
    grant(rob, Role.EDITOR)
    listed = {user.username: sections(signed_in(user), "/admin/ingestion") for user in (admin, mia, rob)}
    assert set(listed["rob"]) < set(listed["mia"]) < set(listed["ada"])
    assert set(listed["rob"]) == {"/admin/ingestion", "/admin/gaps"}
    assert "/admin/users" not in listed["mia"]
    for user in (admin, mia, rob):
        client = signed_in(user)
        for url in listed[user.username]:
            assert client.get(url).status_code == 200, (user.username, url)


def test_current_console_section_is_marked(signed_in: SignIn, mia: User, base: KnowledgeBase) -> None:
    client = signed_in(mia)
    for path, section in (
        ("/admin/knowledge-bases/handbook", "/admin/knowledge-bases"),
        ("/admin/evaluation/knowledge-bases/handbook", "/admin/evaluation"),
    ):
        marked = [url for url, current in sections(client, path).items() if current]
        assert marked == [section]


def test_console_sections_are_not_listed_on_other_pages(signed_in: SignIn, admin: User) -> None:
    assert sections(signed_in(admin), "/library") == {}
