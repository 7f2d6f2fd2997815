"""The name under a verified answer cannot be forged."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from cairn.access.models import Role
from cairn.access.services import grant_give
from cairn.accounts.services import api_key_create
from cairn.audit.models import Event
from cairn.library.models import KnowledgeBase
from ingestion.parse.sandbox.pool import ParserPool
from retrieval.engine import Engine
from retrieval.gaps.clusters import questions_group
from retrieval.gaps.models import Gap, VerifiedAnswer
from tests.fakes import FakeChat
from tests.principals import SETUP
from tests.web.api.conftest import Caller, Response, caller_for
from tests.web.security.attacks.recorder import Attack
from tests.web.working import files_on_disk, pool, work_at_once

__all__ = ["pool"]

QUESTION = "What is on the lunch menu of the cafeteria on Fridays?"
TEXT = "On Fridays the lunch menu of the cafeteria is fish with potatoes."
pytestmark = pytest.mark.django_db(transaction=True)


class Stage:
    """`edith` edits the knowledge base, `mia` manages it; `gap` is a question there, which `edith` owns."""

    def __init__(self, base: KnowledgeBase, admin: Caller, mia: Caller, edith: Caller) -> None:
        self.base, self.admin, self.mia, self.edith = base, admin, mia, edith
        asked = self.ask().json()
        assert asked["verdict"] == "refused", asked
        questions_group()
        self.gap = Gap.objects.get()
        Gap.objects.update(owner=edith.user)

    def ask(self) -> Response:
        return self.mia.post("/ask", {"question": QUESTION, "knowledge_bases": [str(self.base.id)]})

    def publish(self, caller: Caller, owner: Caller | None = None, text: str = TEXT) -> Response:
        body = {"knowledge_base": str(self.base.id), "title": QUESTION, "text": text, "until": until(30)}
        return caller.put(
            f"/gaps/{self.gap.id}/answer", body | ({"owner": str(owner.user.id)} if owner else {})
        )

    def renew(self, caller: Caller) -> Response:
        return caller.post(f"/gaps/{self.gap.id}/renew", {"until": until(60)})

    def verified_by(self) -> str | None:
        """Return the name that people see below an answer."""
        [citation] = self.ask().json()["citations"]
        return citation["verified"] and str(citation["verified"]["by"])


def until(days: int) -> str:
    return (timezone.localdate() + timedelta(days=days)).isoformat()


@pytest.fixture
def stage(
    base: KnowledgeBase,
    admin: Caller,
    mia: Caller,
    parts: Engine,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pool: ParserPool,
) -> Stage:
    files_on_disk(settings, tmp_path)
    work_at_once(monkeypatch, pool, {})
    assert isinstance(parts.chat, FakeChat)
    parts.chat._lines = (f"{TEXT[:-1]} [1].",)
    edith = caller_for("edith")
    grant_give(knowledge_base=base, subject=f"user:{edith.user.id}", role=Role.EDITOR, principal=SETUP)
    return Stage(base, admin, mia, edith)


@pytest.mark.parametrize("attacker", ["edith", "mia"])
@pytest.mark.parametrize("named", ["admin", "colleague"])
def test_verified_answer_cannot_name_another_verifier(
    attack: Attack, stage: Stage, attacker: str, named: str
) -> None:
    caller: Caller = getattr(stage, attacker)
    colleague = stage.mia if attacker == "edith" else stage.edith
    other = stage.admin if named == "admin" else colleague
    refused = stage.publish(caller, owner=other)
    attack.refused(refused.status_code == 403, refused.content)
    attack.refused("verifier" in refused.json()["detail"], refused.content)
    attack.refused(not VerifiedAnswer.objects.exists())
    attack.allowed(stage.publish(caller, owner=caller).status_code == 200)
    attack.allowed(stage.verified_by() == caller.user.username)
    [event] = Event.objects.filter(action="answer.verified")
    attack.allowed(event.detail["owner"] == str(caller.user.id), event.detail)


@pytest.mark.parametrize("limit", ["knowledge base", "scope"])
def test_limited_admin_key_verifies_only_in_the_name_of_its_admin(
    attack: Attack, stage: Stage, limit: str
) -> None:
    limits: dict[str, Any] = {"scopes": ["manage"]}
    if limit == "knowledge base":
        limits = {"knowledge_bases": [stage.base.id]}
    _, key = api_key_create(user=stage.admin.user, label="limited", **limits)
    limited = Caller(stage.admin.user, key)
    refused = stage.publish(limited, owner=stage.mia)
    attack.refused(refused.status_code == 403, refused.content)
    attack.allowed(stage.publish(limited).json()["verified"]["owner"] == str(stage.admin.user.id))
    attack.allowed(stage.publish(stage.admin, owner=stage.mia).status_code == 200)
    attack.allowed(stage.verified_by() == "mia")


def _renewed(stage: Stage, caller: Caller) -> Response:
    return stage.renew(caller)


def _edited(stage: Stage, caller: Caller) -> Response:
    return stage.publish(caller, text=f"{TEXT} So it is said.")


@pytest.mark.parametrize("change", [_renewed, _edited], ids=["renewed", "edited"])
def test_renewing_or_editing_an_answer_makes_one_its_verifier(
    attack: Attack, stage: Stage, change: Callable[[Stage, Caller], Response]
) -> None:
    stage.publish(stage.admin, owner=stage.admin)
    assert stage.verified_by() == "ada"
    taken_over = change(stage, stage.edith)
    attack.refused(taken_over.status_code == 200 and stage.verified_by() == "edith", taken_over.content)
    attack.allowed(change(stage, stage.edith).status_code == 200 and stage.verified_by() == "edith")
    kept = stage.renew(stage.admin)
    attack.allowed(kept.status_code == 200 and stage.verified_by() == "edith", kept.content)


def test_concurrent_edit_is_attributed_to_its_editor(attack: Attack, stage: Stage) -> None:
    """The admin publishes between the two writes of the editor."""
    lie, overlapped = "On Fridays the lunch menu of the cafeteria is fish from the bin.", False

    def overlap(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        nonlocal overlapped
        done = execute(sql, *rest)
        if not overlapped and sql.startswith('INSERT INTO "gaps_verifiedanswer"'):
            overlapped = True
            stage.publish(stage.admin)
        return done

    with connection.execute_wrapper(overlap):
        response = stage.publish(stage.edith, text=lie)
    assert overlapped
    assert response.status_code == 200, response.content
    row = VerifiedAnswer.objects.get()
    attack.refused((row.text, row.owner) == (lie, stage.edith.user), row.owner)
    attack.allowed(stage.publish(stage.admin).status_code == 200)
    row.refresh_from_db()
    attack.allowed((row.text, row.owner) == (TEXT, stage.admin.user))


def test_answer_changed_during_renewal_is_not_renewed_for_its_former_owner(
    attack: Attack, stage: Stage
) -> None:
    stage.publish(stage.admin)
    looks = 0

    def overlap(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        nonlocal looks
        looks += sql.startswith('SELECT "gaps_verifiedanswer"')
        done = execute(sql, *rest)
        if looks == 1:
            looks = 2
            _edited(stage, stage.edith)
        return done

    with connection.execute_wrapper(overlap):
        assert stage.renew(stage.admin).status_code == 200
    row = VerifiedAnswer.objects.get()
    attack.refused((row.text, row.owner) == (f"{TEXT} So it is said.", stage.edith.user), row.owner)
    stage.publish(stage.admin)
    attack.allowed(stage.renew(stage.admin).json()["verified"]["owner"] == str(stage.admin.user.id))


@pytest.mark.parametrize("caller", ["edith", "mia"])
def test_document_owner_is_not_the_verifier(attack: Attack, stage: Stage, caller: str) -> None:
    stage.publish(stage.edith)
    document = VerifiedAnswer.objects.get().document
    assert document is not None
    changed = getattr(stage, caller).patch(f"/documents/{document.id}", {"owner": str(stage.admin.user.id)})
    attack.allowed(changed.status_code == 200, changed.content)
    attack.refused(stage.verified_by() == "edith")
    shown = stage.mia.get(f"/gaps/{stage.gap.id}").json()["verified"]
    attack.refused(shown["owner"] == str(stage.edith.user.id), shown)


def test_console_offers_only_permitted_verifiers(attack: Attack, stage: Stage) -> None:
    field = '<select class="input" id="answer-owner"'
    for caller in (stage.edith, stage.mia):
        page = _page(stage, caller)
        attack.refused(field not in page, page)
        attack.allowed(f"Verified by {caller.user.username}" in page, page)
    page = _page(stage, stage.admin).partition(field)[2].partition("</select>")[0]
    attack.allowed(all(f">{name}</option>" in page for name in ("ada", "edith", "mia")), page)
    stage.publish(stage.admin)
    attack.allowed("name you instead of ada" in _page(stage, stage.edith))


def _page(stage: Stage, caller: Caller) -> str:
    client = Client()
    client.force_login(caller.user)
    response: Response = client.get(f"/admin/gaps/{stage.gap.id}")
    assert response.status_code == 200
    return str(response.content.decode())


def test_editor_without_read_access_cannot_edit_a_verified_answer(attack: Attack, stage: Stage) -> None:
    """Otherwise the next verifier would publish the editor's text under their own name."""
    stage.publish(stage.mia)
    document = VerifiedAnswer.objects.get().document
    assert document is not None
    narrowed = stage.mia.patch(f"/documents/{document.id}", {"readers": [f"user:{stage.mia.user.id}"]})
    assert narrowed.status_code == 200, narrowed.content
    refused = stage.publish(stage.edith, text="On Fridays the cafeteria is closed.")
    row = VerifiedAnswer.objects.get()
    attack.refused(refused.status_code == 409, refused.content)
    attack.refused((row.text, row.owner) == (TEXT, stage.mia.user), (row.text, row.owner))
    attack.refused(stage.verified_by() == "mia")
    attack.allowed(stage.publish(stage.mia, text=f"{TEXT} Or beans.").status_code == 200)
    row.refresh_from_db()
    attack.allowed(row.text == f"{TEXT} Or beans.", row.text)
