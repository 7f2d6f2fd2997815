"""The audit log in the console."""

from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone

from cairn.access.models import Role
from cairn.accounts.models import User
from cairn.audit.services import record
from cairn.library.models import KnowledgeBase
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]
PAGE = "/admin/audit"


@pytest.fixture
def client(signed_in: SignIn, admin: User) -> Client:
    return signed_in(admin)


def test_only_admins_open_the_audit_page(signed_in: SignIn, mia: User, base: KnowledgeBase) -> None:
    assert signed_in(mia).get(PAGE).status_code == 403
    assert Client().get(PAGE).status_code == 302


def test_audit_page_shows_names_in_events(
    client: Client, rob: User, base: KnowledgeBase, grant: Callable[[User, Role], None]
) -> None:
    record("grant.given", actor=rob.id, subject=f"kb:{base.id}", role="reader", share=None, ready=True)
    text = text_of(client.get(PAGE, {"action": "grant.given", "actor": "ROB"}))
    assert "rob" in text
    assert "Handbook" in text
    assert "role: reader, ready: yes" in text
    assert "share:" not in text


def test_audit_filters_apply_to_the_export(client: Client, rob: User, mia: User) -> None:
    record("made.up", actor=rob.id, subject="kb:1")
    today = timezone.now().date().isoformat()
    wanted = {"actor": "rob", "subject": "kb:1", "since": today, "until": today}
    page = client.get(PAGE, wanted)
    assert "<code>made.up</code>" in page.content.decode()
    exported = f"actor={rob.id}&amp;subject=kb%3A1&amp;since={today}T00%3A00%3A00%2B00%3A00&amp;until="
    assert exported in page.content.decode()
    for other in ({"actor": "mia"}, {"actor": "nobody"}, {"subject": "kb:2"}, {"until": "2020-01-01"}):
        assert "<code>made.up</code>" not in client.get(PAGE, {**wanted, **other}).content.decode()


def test_audit_pages_go_back_in_time(client: Client) -> None:
    for n in range(70):
        record("made.up", actor=None, subject=f"kb:number-{n}.")
    first = client.get(PAGE, {"action": "made.up"})
    assert "number-69." in text_of(first)
    assert "number-19." not in text_of(first)
    before = first.context["before"]
    older = text_of(client.get(PAGE, {"action": "made.up", "before": before}))
    assert "number-20." not in older
    assert "number-19." in older
    assert "Older" not in older


@pytest.mark.parametrize(
    "query",
    [{"before": "9" * 30}, {"before": "²"}, {"since": "9999-12-31", "until": "9999-12-31"}, {"actor": "\0"}],
)
def test_nonsense_is_not_an_error(client: Client, query: dict[str, str]) -> None:
    assert client.get(f"{PAGE}?{urlencode(query)}").status_code == 200
