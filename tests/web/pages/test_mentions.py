"""Knowledge bases that a question can mention."""

import re
from collections.abc import Callable

from django.test import Client

from cairn.access.models import Grant, Role
from cairn.access.principals import principal_for_user
from cairn.accounts.models import User
from cairn.library.models import KnowledgeBase
from tests.bases import make_base
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]


def found(client: Client, typed: str = "") -> list[str]:
    html = text_of(client.get("/mentions", {"q": typed}))
    return re.findall(r'role="option"[^>]*data-name="([^"]*)"', html)


def test_mentions_find_only_readable_knowledge_bases(
    signed_in: SignIn, rob: User, base: KnowledgeBase, grant: Callable[[User, Role], None]
) -> None:
    client = signed_in(rob)
    assert found(client, "hand") == []
    grant(rob, Role.READER)
    assert found(client, "HAND") == ["Handbook"]
    Grant.objects.filter(user=rob).delete()
    assert found(client, "hand") == []


def test_mentions_list_few_matches_with_prefixes_first(signed_in: SignIn, mia: User) -> None:
    for name in (
        *(f"A handbook {number:02}" for number in range(20)),
        "Übungen <b>",
        "Handbook, old",
        "100 %",
    ):
        make_base(name=name, principal=principal_for_user(mia))
    client = signed_in(mia)
    assert found(client, "handbook") == ["Handbook, old", *(f"A handbook {number:02}" for number in range(7))]
    assert found(client, "old handb") == ["Handbook, old"]
    assert found(client, "übung") == ["Übungen &lt;b&gt;"]
    assert found(client, "%") == ["100 %"]
    assert found(client, "_") == found(client, "\0nothing") == []
    assert len(found(client)) == 8
