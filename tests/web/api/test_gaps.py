"""Unanswered questions: grouped, restricted to the people concerned, answered, and notified about."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from cairn.access.models import ArtifactKind, CheckArtifact, Role
from cairn.access.services import grant_give, grants_replace, knowledge_base_create
from cairn.accounts.services import api_key_create
from cairn.library.models import Document, KnowledgeBase
from ingestion.erasure.documents import erase
from ingestion.erasure.users import user_erase
from ingestion.gaps.asker_notices import notify_askers
from ingestion.gaps.retry import retry_gaps
from ingestion.gaps.verified_answers import answers_expire
from ingestion.models import Job, Receipt, Stage
from ingestion.parse.sandbox.pool import ParserPool
from retrieval.engine import Engine
from retrieval.gaps import clusters
from retrieval.gaps.clusters import questions_group
from retrieval.gaps.models import Gap, GapQuestion, Notice
from retrieval.gaps.recorder import gaps_tidy
from tests.bases import make_base
from tests.fakes import FakeChat, FakeEmbedder
from tests.principals import SETUP
from tests.web.api.conftest import Caller, assert_problem, caller_for, indexed
from tests.web.working import files_on_disk, work_at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.usefixtures("parts")]

LUNCH = "What is on the lunch menu of the cafeteria on Fridays?"
LUNCH_AGAIN = "What is on the lunch menu of the cafeteria on Friday?"
PARKING = "Where may visitors park their bicycles overnight?"
ANSWER = "On Fridays the lunch menu of the cafeteria is fish with potatoes."


@pytest.fixture
def ria(base: KnowledgeBase, grant: Callable[[Caller, Role], None]) -> Caller:
    """A reader of `base` who asks questions."""
    caller = caller_for("ria")
    grant(caller, Role.READER)
    return caller


@pytest.fixture
def edith(base: KnowledgeBase, grant: Callable[[Caller, Role], None]) -> Caller:
    caller = caller_for("edith")
    grant(caller, Role.EDITOR)
    return caller


@pytest.fixture
def working(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: ParserPool
) -> Iterator[None]:
    """Process published answers immediately."""
    files_on_disk(settings, tmp_path)
    work_at_once(monkeypatch, pool, {})
    return


def ask(caller: Caller, question: str, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = caller.post("/ask", {"question": question, **more}).json()
    return answer


def refused(caller: Caller, question: str, base: KnowledgeBase, **more: Any) -> str:
    """The id of the message."""
    answer = ask(caller, question, knowledge_bases=[str(base.id)], **more)
    assert answer["verdict"] == "refused", answer
    return str(answer["id"])


def gaps(caller: Caller, query: str = "") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = caller.get(f"/gaps{query}").json()["items"]
    return items


def only_gap(caller: Caller) -> dict[str, Any]:
    questions_group()
    [gap] = gaps(caller)
    whole: dict[str, Any] = caller.get(f"/gaps/{gap['id']}").json()
    return whole


def until(days: int = 30) -> str:
    return (timezone.localdate() + timedelta(days=days)).isoformat()


def publish(caller: Caller, gap: str, base: KnowledgeBase, **more: Any) -> Any:
    body = {"knowledge_base": str(base.id), "title": LUNCH, "text": ANSWER, "until": until(), **more}
    return caller.put(f"/gaps/{gap}/answer", body)


def notices(caller: Caller) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = caller.get("/notices").json()["items"]
    return items


# Recording and grouping ---------------------------------------------------------


@pytest.mark.parametrize("together", [1, 3])
def test_refused_questions_with_equal_meaning_form_one_gap(
    base: KnowledgeBase, mia: Caller, ria: Caller, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setattr(clusters, "QUESTIONS_PER_BATCH", together)
    for question in (LUNCH, LUNCH_AGAIN, PARKING):
        refused(ria, question, base)
    assert questions_group() == 3
    assert questions_group() == 0
    found = {gap["title"]: gap["questions"] for gap in gaps(mia)}
    assert found == {LUNCH: 2, PARKING: 1}


def test_question_repeated_in_a_conversation_is_counted_once(
    base: KnowledgeBase, mia: Caller, ria: Caller
) -> None:
    answer = ask(ria, LUNCH, knowledge_bases=[str(base.id)])
    ask(ria, LUNCH, knowledge_bases=[str(base.id)], conversation=answer["conversation"], parent=None)
    assert only_gap(mia)["questions"] == 1


def test_answer_rated_down_is_a_gap_until_rated_up(
    parts: Engine, base: KnowledgeBase, document: Document, mia: Caller, ria: Caller
) -> None:
    indexed(document, parts, "Employees get 25 days of leave a year.")
    answer = ask(ria, "How many days of leave do employees get a year?")
    assert answer["verdict"] == "supported"
    assert not GapQuestion.objects.exists()
    ria.post(f"/messages/{answer['id']}/feedback", {"rating": "down", "reason": "out of date"})
    gap = only_gap(mia)
    assert gap["knowledge_bases"] == [str(base.id)]
    assert [(each["why"], each["reason"]) for each in gap["asked"]] == [("down", "out of date")]
    ria.post(f"/messages/{answer['id']}/feedback", {"rating": "up"})
    assert gaps(mia) == []


def test_questions_through_the_openai_api_count_as_gaps(
    base: KnowledgeBase, mia: Caller, ria: Caller
) -> None:
    body = {"model": f"cairn/{base.slug}", "messages": [{"role": "user", "content": LUNCH}]}
    response = ria.client.post(
        "/v1/chat/completions", body, content_type="application/json",
        headers={"Authorization": f"Bearer {ria.key}"},
    )  # fmt: skip
    assert response.json()["verdict"] == "refused"
    assert only_gap(mia)["title"] == LUNCH


def test_questions_of_access_checks_and_evaluations_are_not_gaps(
    base: KnowledgeBase, grant: Callable[[Caller, Role], None], ria: Caller
) -> None:
    canary = caller_for("canary")
    CheckArtifact.objects.create(kind=ArtifactKind.USER, object_id=canary.user.id)
    grant(canary, Role.READER)
    refused(canary, LUNCH, base)
    refused(ria, LUNCH, base, pass_on=False)
    assert not GapQuestion.objects.exists()


def test_knowledge_gaps_can_be_disabled(
    base: KnowledgeBase, ria: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retrieval.gaps import recorder

    off = recorder.environment().model_copy(update={"knowledge_gaps_enabled": False})
    monkeypatch.setattr(recorder, "environment", lambda: off)
    refused(ria, LUNCH, base)
    assert not GapQuestion.objects.exists()


def test_gaps_are_grouped_by_text_without_a_model_and_regrouped_by_another_model(
    parts: Engine, base: KnowledgeBase, mia: Caller, ria: Caller
) -> None:
    embedder = parts.embedder
    assert isinstance(embedder, FakeEmbedder)
    for question in (LUNCH, LUNCH.upper(), LUNCH_AGAIN):
        refused(ria, question, base)
    embedder.broken = True
    questions_group()
    assert sorted(gap["questions"] for gap in gaps(mia)) == [1, 2]
    embedder.broken, embedder.model = False, "another"
    refused(ria, f"Please: {LUNCH}", base)
    questions_group()
    assert set(GapQuestion.objects.values_list("embedding_model", flat=True)) == {"another"}
    assert len(gaps(mia)) == 2


# Who sees what -----------------------------------------------------------------------------------


def test_managers_see_gaps_only_of_their_knowledge_bases(
    base: KnowledgeBase, mia: Caller, ria: Caller, edith: Caller, admin: Caller
) -> None:
    other = knowledge_base_create(name="Elsewhere", principal=admin.principal)
    grant_give(knowledge_base=other, subject=f"user:{ria.user.id}", role=Role.READER, principal=SETUP)
    refused(ria, LUNCH, base)
    refused(ria, PARKING, other)
    refused(ria, PARKING, other)
    questions_group()
    assert [gap["title"] for gap in gaps(mia)] == [LUNCH]
    assert gaps(edith) == gaps(ria) == []
    hidden = next(gap for gap in gaps(admin) if gap["title"] == PARKING)
    assert_problem(mia.get(f"/gaps/{hidden['id']}"), 404, "not_found")
    grants_replace(knowledge_base=base, grants=[(f"user:{ria.user.id}", Role.READER)], principal=SETUP)
    assert gaps(mia) == []


def test_equal_questions_to_different_knowledge_bases_are_separate_gaps(
    base: KnowledgeBase, mia: Caller, ria: Caller, admin: Caller
) -> None:
    other = knowledge_base_create(name="Elsewhere", principal=admin.principal)
    grant_give(knowledge_base=other, subject=f"user:{ria.user.id}", role=Role.READER, principal=SETUP)
    refused(ria, LUNCH, base)
    refused(ria, LUNCH, other)
    questions_group()
    assert [gap["questions"] for gap in gaps(mia)] == [1]
    mine, theirs = gaps(mia)[0], next(gap for gap in gaps(admin) if str(other.id) in gap["knowledge_bases"])
    assert_problem(admin.post(f"/gaps/{theirs['id']}/merge", {"into": mine["id"]}), 409, "conflict")


def test_gap_without_a_knowledge_base_is_for_admins(
    base: KnowledgeBase, mia: Caller, rob: Caller, admin: Caller
) -> None:
    assert ask(rob, LUNCH)["verdict"] == "refused"
    assert ask(rob, PARKING, knowledge_bases=[str(base.id)])["status"] == 404, "rob may not know of it"
    questions_group()
    assert gaps(mia) == []
    assert {gap["title"]: gap["knowledge_bases"] for gap in gaps(admin)} == {LUNCH: []}


def test_gap_of_an_unrestricted_question_belongs_to_the_nearest_knowledge_base(
    parts: Engine, base: KnowledgeBase, document: Document, mia: Caller, ria: Caller
) -> None:
    indexed(document, parts, "The cafeteria is on the ground floor.")
    answer = ask(ria, LUNCH)
    assert answer["verdict"] == "refused"
    assert answer["nearest"]
    gap = only_gap(mia)
    assert gap["knowledge_bases"] == [str(base.id)]
    assert [each["document"] for each in gap["nearest"]] == [str(document.id)]


def test_gap_shows_the_user_only_with_consent(
    base: KnowledgeBase, mia: Caller, ria: Caller, rob: Caller
) -> None:
    message = refused(ria, LUNCH, base)
    gap = only_gap(mia)
    assert gap["asked"][0]["asked_by"] is None
    assert '"ria"' not in mia.get(f"/gaps/{gap['id']}").content.decode()
    assert_problem(rob.put(f"/messages/{message}/passing-on", {"passed_on": False}), 404, "not_found")
    ria.put(f"/messages/{message}/passing-on", {"passed_on": True, "with_name": True})
    assert only_gap(mia)["asked"][0]["asked_by"] == "ria"


def test_withdrawn_question_is_removed_from_its_gap(base: KnowledgeBase, mia: Caller, ria: Caller) -> None:
    message = refused(ria, LUNCH, base)
    assert only_gap(mia)["questions"] == 1
    assert ria.put(f"/messages/{message}/passing-on", {"passed_on": False}).json()["passed_on"] is False
    ria.post(f"/messages/{message}/feedback", {"rating": "down"})
    assert questions_group() == 0
    assert gaps(mia) == []
    assert not Gap.objects.exists()


def test_erasing_a_user_or_conversation_erases_gap_questions(
    base: KnowledgeBase, mia: Caller, ria: Caller, edith: Caller, admin: Caller
) -> None:
    refused(ria, LUNCH, base)
    answer = ask(edith, LUNCH_AGAIN, knowledge_bases=[str(base.id)])
    gap = only_gap(mia)
    assert gap["title"] == LUNCH
    user_erase(user=ria.user, actor=None)
    gap = only_gap(mia)
    assert (gap["title"], gap["questions"]) == (LUNCH_AGAIN, 1)
    edith.delete(f"/conversations/{answer['conversation']}")
    assert gaps(mia) == []
    gaps_tidy()
    assert not Gap.objects.exists()


# Actions on a gap -------------------------------------------------------------------------


def test_assigned_gap_is_visible_to_its_editor_and_announced(
    base: KnowledgeBase, mia: Caller, ria: Caller, edith: Caller
) -> None:
    refused(ria, LUNCH, base)
    gap = only_gap(mia)["id"]
    assert_problem(mia.patch(f"/gaps/{gap}", {"owner": str(ria.user.id)}), 422, "invalid")
    response = mia.patch(
        f"/gaps/{gap}", {"owner": str(edith.user.id), "due": until(), "note": "Ask the cook."}
    )
    assert (response.json()["state"], response.json()["owner"]) == ("assigned", str(edith.user.id))
    assert gaps(edith)[0]["note"] == "Ask the cook."
    [notice] = notices(edith)
    assert notice["kind"] == "assigned"
    assert LUNCH in notice["text"]
    assert notice["url"] == f"/admin/gaps/{gap}"
    assert edith.post(f"/notices/{notice['id']}/read").json()["read_at"]
    assert_problem(mia.post(f"/notices/{notice['id']}/read"), 404, "not_found")
    assert edith.get("/notices?unread=true").json()["items"] == []
    grants_replace(knowledge_base=base, grants=[(f"user:{mia.user.id}", Role.MANAGER)], principal=SETUP)
    assert gaps(edith) == []
    [notice] = notices(edith)
    assert notice["url"] is None
    assert LUNCH not in notice["text"]


def test_gap_is_dismissed_with_a_reason_and_collects_repeated_questions(
    base: KnowledgeBase, mia: Caller, ria: Caller
) -> None:
    refused(ria, LUNCH, base)
    gap = only_gap(mia)["id"]
    assert_problem(mia.post(f"/gaps/{gap}/dismiss", {"reason": " "}), 422, "invalid")
    dismissed = mia.post(f"/gaps/{gap}/dismiss", {"reason": "Not our business."}).json()
    assert (dismissed["state"], dismissed["dismissed_reason"]) == ("dismissed", "Not our business.")
    refused(ria, LUNCH_AGAIN, base)
    assert only_gap(mia)["questions"] == 2
    assert gaps(mia, "?state=open") == []
    assert mia.post(f"/gaps/{gap}/reopen").json()["state"] == "open"


def test_gaps_are_merged_and_questions_split_off(base: KnowledgeBase, mia: Caller, ria: Caller) -> None:
    for question in (LUNCH, PARKING):
        refused(ria, question, base)
    questions_group()
    one, two = (gap["id"] for gap in gaps(mia))
    merged = mia.post(f"/gaps/{two}/merge", {"into": one}).json()
    assert (merged["id"], merged["questions"]) == (one, 2)
    assert_problem(mia.get(f"/gaps/{two}"), 404, "not_found")
    asked = merged["asked"][0]["id"]
    split = mia.post(f"/gaps/{one}/questions/{asked}/split").json()
    assert split["questions"] == 1
    assert len(gaps(mia)) == 2
    assert_problem(mia.post(f"/gaps/{split['id']}/questions/{asked}/split"), 409, "conflict")


def test_gaps_are_listed_by_knowledge_base_state_and_owner(
    base: KnowledgeBase, mia: Caller, ria: Caller, edith: Caller
) -> None:
    for question in (LUNCH, PARKING):
        refused(ria, question, base)
    questions_group()
    given = gaps(mia)[0]["id"]
    mia.patch(f"/gaps/{given}", {"owner": str(edith.user.id)})
    assert len(gaps(mia, f"?knowledge_base={base.id}")) == 2
    assert [gap["id"] for gap in gaps(mia, "?state=assigned")] == [given]
    assert [gap["id"] for gap in gaps(mia, f"?owner={edith.user.id}")] == [given]
    assert len(gaps(mia, "?owner=nobody")) == 1
    assert gaps(mia, f"?knowledge_base={given}") == []


# Answers -----------------------------------------------------------------------------------------


def text_in_gap(caller: Caller, gap: str, *scopes: str) -> str:
    key = Caller(caller.user, api_key_create(user=caller.user, label="test", scopes=scopes)[1])
    return str(key.get(f"/gaps/{gap}").json()["verified"]["text"])


def test_verified_answer_is_cited_and_announced_until_it_expires(
    parts: Engine, working: None, base: KnowledgeBase, mia: Caller, ria: Caller, edith: Caller
) -> None:
    assert isinstance(parts.chat, FakeChat)
    parts.chat._lines = (f"{ANSWER[:-1]} [1].",)
    refused(ria, LUNCH, base)
    gap = only_gap(mia)["id"]
    mia.patch(f"/gaps/{gap}", {"owner": str(edith.user.id)})
    response = publish(edith, gap, base, wordings=[LUNCH_AGAIN])
    assert response.status_code == 200, response.content
    verified = response.json()["verified"]
    assert (response.json()["state"], verified["current"]) == ("answered", True)
    assert text_in_gap(mia, gap, "manage") == "", "what documents say takes another scope"
    assert text_in_gap(mia, gap, "manage", "search") == verified["text"] != ""
    document = mia.get(f"/documents/{verified['document']}").json()
    assert (document["title"], document["status"]) == (LUNCH, "ready")
    assert (document["source_uri"], document["owner"]) == (f"cairn:verified/{gap}", str(edith.user.id))
    assert document["review_by"] == until()

    assert notify_askers() == 1
    assert notify_askers() == 0
    [notice] = notices(ria)
    assert (notice["kind"], notice["question"]) == ("answered", LUNCH)
    assert notice["url"].startswith("/?again="), "questions stay out of addresses"

    answer = ask(ria, LUNCH)
    assert answer["verdict"] == "supported"
    [citation] = answer["citations"]
    assert citation["verified"] == {"by": "edith", "until": until()}
    assert citation["document"] == verified["document"]

    answers_expire(today=timezone.localdate() + timedelta(days=25))
    assert [each["kind"] for each in notices(edith)] == ["expiring", "assigned"]
    answers_expire(today=timezone.localdate() + timedelta(days=31))
    assert next(each["kind"] for each in notices(edith)) == "expired"
    assert ask(ria, LUNCH)["verdict"] == "refused"
    [cited] = ria.get(f"/conversations/{answer['conversation']}").json()["messages"][0]["citations"]
    assert cited["verified"] is None
    assert mia.get(f"/gaps/{gap}").json()["state"] == "assigned"
    assert notices(ria)[0]["url"] is None

    assert edith.post(f"/gaps/{gap}/renew", {"until": until(60)}).json()["state"] == "answered"
    assert ask(ria, LUNCH)["citations"][0]["verified"] == {"by": "edith", "until": until(60)}


def test_reopening_a_gap_withdraws_its_verified_answer(
    working: None, base: KnowledgeBase, document: Document, mia: Caller, ria: Caller
) -> None:
    refused(ria, LUNCH, base)
    gap = only_gap(mia)["id"]
    page = Client()
    page.force_login(mia.user)
    answer = publish(mia, gap, base).json()["verified"]["document"]
    assert mia.get(f"/documents/{answer}").json()["status"] == "ready"

    reopened = mia.post(f"/gaps/{gap}/reopen").json()
    assert (reopened["state"], reopened["verified"]["current"]) == ("open", False)
    assert reopened["verified"]["text"] == ANSWER, "it can be published again"
    assert ask(ria, LUNCH)["verdict"] == "refused"
    assert "withdrawn" in str(mia.get(f"/documents/{answer}").json()["error"])
    assert "Withdrawn when the gap was reopened" in page.get(f"/admin/gaps/{gap}").content.decode()
    linked = mia.post(f"/gaps/{gap}/document", {"document": str(document.id)}).json()
    assert (linked["state"], linked["document"]["document"]) == ("answered", str(document.id))

    mia.post(f"/gaps/{gap}/reopen")
    renewed = mia.post(f"/gaps/{gap}/renew", {"until": until(60)}).json()
    assert (renewed["state"], renewed["verified"]["current"]) == ("answered", True)
    assert ask(ria, LUNCH)["citations"][0]["verified"] == {"by": "mia", "until": until(60)}


def test_document_replacing_a_withdrawn_answer_notifies_users(
    parts: Engine, base: KnowledgeBase, document: Document, mia: Caller, ria: Caller
) -> None:
    refused(ria, LUNCH, base)
    gap = only_gap(mia)["id"]
    publish(mia, gap, base)
    mia.post(f"/gaps/{gap}/reopen")
    indexed(document, parts, ANSWER)
    mia.post(f"/gaps/{gap}/document", {"document": str(document.id)})
    assert notify_askers() == 1
    assert [notice["kind"] for notice in notices(ria)] == ["answered"]


def test_only_editors_of_the_verified_answer_reopen_its_gap(
    working: None, base: KnowledgeBase, mia: Caller, ria: Caller, edith: Caller
) -> None:
    refused(ria, LUNCH, base)
    gap = only_gap(mia)["id"]
    answer = publish(mia, gap, base).json()["verified"]["document"]
    mia.patch(f"/gaps/{gap}", {"owner": str(edith.user.id)})
    mia.patch(f"/documents/{answer}", {"readers": [f"user:{mia.user.id}"]})
    assert_problem(edith.post(f"/gaps/{gap}/reopen"), 403, "forbidden")
    assert mia.get(f"/gaps/{gap}").json()["verified"]["current"]
    mia.patch(f"/documents/{answer}", {"readers": None})
    assert edith.post(f"/gaps/{gap}/reopen").json()["state"] == "assigned"


def test_edited_verified_answer_is_a_version_that_cannot_be_imitated(
    parts: Engine, working: None, base: KnowledgeBase, mia: Caller, ria: Caller
) -> None:
    assert isinstance(parts.chat, FakeChat)
    parts.chat._lines = ("On Fridays the lunch menu of the cafeteria is soup [1].",)
    refused(ria, LUNCH, base)
    gap = only_gap(mia)["id"]
    publish(mia, gap, base)
    response = publish(mia, gap, base, text="On Fridays the lunch menu of the cafeteria is soup.")
    document = response.json()["verified"]["document"]
    assert mia.get(f"/documents/{document}").json()["version"] == 2
    assert ask(ria, LUNCH)["citations"][0]["verified"] == {"by": "mia", "until": until()}
    text = b"On Fridays the lunch menu of the cafeteria is soup, they say."
    mia.upload(str(base.id), "x.md", text, source_uri=f"cairn:verified/{gap}")
    [citation] = ask(ria, LUNCH)["citations"]
    assert (citation["document"], citation["verified"]) == (document, None)


def test_publishing_needs_an_editor_of_an_affected_knowledge_base(
    working: None, base: KnowledgeBase, mia: Caller, ria: Caller, admin: Caller
) -> None:
    other = make_base(name="Elsewhere", principal=mia.principal)
    hidden = knowledge_base_create(name="Hidden", principal=admin.principal)
    refused(ria, LUNCH, base)
    gap = only_gap(mia)["id"]
    assert_problem(publish(mia, gap, other), 422, "invalid")
    assert_problem(publish(mia, gap, hidden), 404, "not_found")
    assert_problem(publish(mia, gap, base, owner=str(ria.user.id)), 403, "forbidden")
    assert_problem(publish(admin, gap, base, owner=str(ria.user.id)), 422, "invalid")
    assert_problem(publish(mia, gap, base, until="2020-01-01"), 422, "invalid")
    assert_problem(publish(ria, gap, base), 404, "not_found")
    assert not Document.objects.exists()


def test_deleting_the_document_reopens_its_gap(
    parts: Engine, working: None, base: KnowledgeBase, mia: Caller, ria: Caller
) -> None:
    refused(ria, LUNCH, base)
    gap = only_gap(mia)["id"]
    document = publish(mia, gap, base).json()["verified"]["document"]
    mia.delete(f"/documents/{document}")
    erase(Receipt.objects.get().id, parts.index)
    shown = mia.get(f"/gaps/{gap}").json()
    assert (shown["state"], shown["verified"]) == ("open", None)
    assert ANSWER not in mia.get(f"/gaps/{gap}").content.decode()


@pytest.mark.parametrize("erased", ["later", "at once", "while it is renewed"])
def test_renewing_restores_no_deleted_verified_answer(
    parts: Engine, working: None, base: KnowledgeBase, mia: Caller, ria: Caller, erased: str
) -> None:
    refused(ria, LUNCH, base)
    gap = only_gap(mia)["id"]
    document = publish(mia, gap, base).json()["verified"]["document"]
    looks = 0

    def gone() -> None:
        mia.delete(f"/documents/{document}")
        if erased != "later":
            erase(Receipt.objects.get().id, parts.index)

    def look(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        nonlocal looks
        if looks == 1:  # it has been found
            looks = 2
            gone()
        looks += sql.startswith('SELECT "gaps_verifiedanswer"')
        return execute(sql, *rest)

    if erased == "while it is renewed":
        with connection.execute_wrapper(look):
            assert_problem(mia.post(f"/gaps/{gap}/renew", {"until": until(60)}), 404, "not_found")
    else:
        gone()
        assert mia.get(f"/gaps/{gap}").json()["verified"] is None
        assert_problem(mia.post(f"/gaps/{gap}/renew", {"until": until(60)}), 409, "conflict")
    assert not Document.objects.present().exists()
    assert ria.post("/search", {"query": LUNCH}).json()["results"] == []


def test_verified_answer_is_only_for_readers_of_its_document(
    working: None, base: KnowledgeBase, mia: Caller, ria: Caller, edith: Caller
) -> None:
    refused(ria, LUNCH, base)
    gap = only_gap(mia)["id"]
    document = publish(mia, gap, base).json()["verified"]["document"]
    mia.patch(f"/gaps/{gap}", {"owner": str(edith.user.id)})
    assert edith.get(f"/gaps/{gap}").json()["verified"]["text"] == ANSWER
    mia.patch(f"/documents/{document}", {"readers": [f"user:{mia.user.id}"]})
    assert edith.get(f"/gaps/{gap}").json()["verified"] is None
    assert_problem(edith.post(f"/gaps/{gap}/renew", {"until": until(60)}), 409, "conflict")


def test_existing_document_closes_a_gap_and_notifies_only_its_readers(
    parts: Engine, base: KnowledgeBase, document: Document, mia: Caller, ria: Caller, edith: Caller
) -> None:
    for caller in (ria, edith):
        refused(caller, LUNCH, base)
    indexed(document, parts, ANSWER)
    mia.patch(f"/documents/{document.id}", {"readers": [f"user:{edith.user.id}"]})
    gap = only_gap(mia)["id"]
    assert mia.post(f"/gaps/{gap}/document", {"document": str(document.id)}).json()["state"] == "answered"
    assert notify_askers() == 1
    assert notices(ria) == []
    [notice] = notices(edith)
    mia.patch(f"/documents/{document.id}", {"readers": [f"user:{mia.user.id}"]})
    assert notices(edith)[0]["url"] is None
    assert edith.post(f"/notices/{notice['id']}/read").status_code == 200


def test_new_documents_are_tried_with_the_rights_of_the_gaps_users(
    parts: Engine, base: KnowledgeBase, document: Document, mia: Caller, ria: Caller
) -> None:
    assert isinstance(parts.chat, FakeChat)
    parts.chat._lines = (f"{ANSWER[:-1]} [1].",)
    Job.objects.update(stage=Stage.READY)  # no one waits for an upload
    refused(ria, LUNCH, base)
    gap = only_gap(mia)["id"]
    assert retry_gaps() == 0
    assert mia.get(f"/gaps/{gap}").json()["suggested"] == []
    indexed(document, parts, ANSWER)
    mia.patch(f"/documents/{document.id}", {"readers": [f"user:{mia.user.id}"]})
    retry_gaps()
    assert mia.get(f"/gaps/{gap}").json()["suggested"] == []
    mia.patch(f"/documents/{document.id}", {"readers": None})
    assert retry_gaps() == 1
    assert retry_gaps() == 0
    [suggested] = mia.get(f"/gaps/{gap}").json()["suggested"]
    assert suggested["document"] == str(document.id)
    assert mia.post(f"/gaps/{gap}/decline").json()["suggested"] == []
    mia.patch(f"/gaps/{gap}", {"closes_itself": True})
    mia.patch(f"/documents/{document.id}", {"title": "The menu"})
    assert retry_gaps() == 1
    assert mia.get(f"/gaps/{gap}").json()["state"] == "answered"
    assert Notice.objects.count() == 0
    assert notify_askers() == 1


def test_user_export_has_forwarded_questions(base: KnowledgeBase, ria: Caller) -> None:
    import io
    import json
    import zipfile

    from tests.web.api.conftest import streamed

    message = refused(ria, LUNCH, base)
    body = streamed(ria.get("/me/export"))
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        [row] = [json.loads(line) for line in archive.read("gap_questions.jsonl").splitlines()]
    assert (row["message"], row["why"], row["with_name"]) == (message, "refused", False)


def test_deleting_a_knowledge_base_deletes_its_gaps(
    parts: Engine, base: KnowledgeBase, mia: Caller, ria: Caller, admin: Caller
) -> None:
    refused(ria, LUNCH, base)
    questions_group()
    refused(ria, PARKING, base)
    mia.delete(f"/knowledge-bases/{base.id}")
    questions_group()
    erase(Receipt.objects.get().id, parts.index)
    assert gaps(admin) == []
    assert not Gap.objects.exists()
    assert not GapQuestion.objects.exists()
