"""A document with a word that is nowhere else goes everywhere that it can get to, and is deleted: the whole
data folder is searched for the word, byte by byte. And users, who leave nothing but ids."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client

from cairn.access.models import Role
from cairn.accounts.models import User
from cairn.answers import Grounding
from cairn.audit.models import Event
from cairn.library.models import KnowledgeBase
from ingestion.erasure import documents, sqlite_wal
from ingestion.models import ImportItem, Receipt, WatchedFile
from ingestion.parse.sandbox.pool import ParserPool
from ingestion.reindexing import runner
from ingestion.reindexing.all_generations import AllGenerations
from retrieval.conversations import ask
from retrieval.conversations.services import ERASED
from retrieval.engine import Engine, use
from retrieval.evaluation.models import EvaluationRun, GoldQuestion
from retrieval.index.generations import active_index
from retrieval.index.protocol import VectorIndex
from retrieval.models import Message
from retrieval.types import Delta, Sources
from tests.conftest import PASSWORD
from tests.fakes import FakeChat, FakeEmbedder
from tests.indexes import own_indexes
from tests.web.api.conftest import Caller, caller_for
from tests.web.working import files_on_disk, work_at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
MARK = "Quaxolotlfest"
SENTENCE = f"Employees get 25 days of leave a year, says {MARK}."


@pytest.fixture
def data(tmp_path: Path, settings: Any) -> Path:
    files_on_disk(settings, tmp_path / "files")
    return tmp_path


@pytest.fixture
def parts(db: None, data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An index in the data folder, and models that are predictable."""
    embedder, chat = FakeEmbedder(), FakeChat(SENTENCE.replace(".", " [1]."))
    with (
        own_indexes(monkeypatch, data, embedder=embedder),
        use(Engine(embedder, active_index(), chat)) as parts,
    ):
        yield parts


@pytest.fixture(autouse=True)
def worker(monkeypatch: pytest.MonkeyPatch, pool: ParserPool, parts: Engine) -> None:
    def erase(receipt: str) -> None:
        documents.erase(UUID(receipt), AllGenerations(parts.index))
        runner.work_all()

    work_at_once(monkeypatch, pool, {"ingestion.erase": erase})


@pytest.fixture
def spread(mia: Caller, base: KnowledgeBase) -> str:
    """The document's id, once its word has got everywhere."""
    home = f"/knowledge-bases/{base.id}"
    batch = mia.post(f"{home}/imports", {"label": "drive", "files": 1}).json()["id"]
    sent = mia.upload(
        str(base.id),
        f"{MARK}.md",
        f"# {MARK}\n\n{SENTENCE}\n".encode(),
        title=f"On {MARK}",
        source_uri=f"drive/{MARK}.md",
        metadata=json.dumps({"note": MARK}),
        **{"import": batch},
    )
    document = str(sent.json()["document"]["id"])
    assert mia.get(f"/documents/{document}").json()["status"] == "ready", sent.content
    first = mia.post("/ask", {"question": "How many days of leave?"}).json()
    assert MARK in first["citations"][0]["quote"], first
    mia.post("/ask", {"question": "And who says so?", "conversation": first["conversation"]})
    gold = {
        "question": "How many days?", "kind": "paraphrase", "relevant": [document],
        "must_contain": [MARK], "message": first["id"],
    }  # fmt: skip
    assert mia.post(f"{home}/gold-questions", gold).status_code == 201
    outcome = {
        "id": "one", "kind": "paraphrase", "question": "How many days?", "right": True, "refused": False,
        "standalone_question": f"How many days at {MARK}?", "answer": SENTENCE, "documents": [document],
        "cited": [f"drive/{MARK}.md"], "relevant": [f"drive/{MARK}.md"],
    }  # fmt: skip
    unquoted = {**outcome, "id": "two", "answer": "None.", "standalone_question": "", "documents": []}
    run = {
        "knowledge_base": str(base.id), "name": "run", "gold": {"name": "gold", "sha256": "a" * 64},
        "measures": {}, "outcomes": [outcome, unquoted],
    }  # fmt: skip
    assert mia.post("/evaluations", run).status_code == 201
    return document


def holding(data: Path, word: str = MARK) -> set[str]:
    """Return files that contain the word or have it in their name."""
    database = Path(str(connection.settings_dict["NAME"]))
    files = [path for path in data.rglob("*") if path.is_file()]
    if connection.vendor == "sqlite":
        files += [database, database.with_name(f"{database.name}-wal")]
    return {
        path.name
        for path in files
        if path.exists() and (word in path.name or word.lower().encode() in path.read_bytes().lower())
    }


@pytest.mark.parametrize("what", ["document", "knowledge-base"])
def test_erasure_removes_every_trace_of_a_document(
    mia: Caller, base: KnowledgeBase, parts: Engine, data: Path, spread: str, what: str
) -> None:
    assert holding(data)
    path = f"/documents/{spread}" if what == "document" else f"/knowledge-bases/{base.id}"
    answer = mia.delete(path)
    assert answer.status_code == 202
    receipt = mia.get(f"/receipts/{answer.json()['receipt']['id']}").json()
    assert receipt["state"] == "done"
    assert receipt["verified_at"]
    assert all(receipt["removed"][name] > 0 for name in ("rows", "chunks", "points", "files", "quotes"))
    assert holding(data) == set()
    assert not holding(data, "leave a year")


def test_remaining_records_do_not_name_an_erased_document(mia: Caller, data: Path, spread: str) -> None:
    mia.delete(f"/documents/{spread}")
    run = EvaluationRun.objects.get()
    assert [each["relevant"] for each in run.outcomes] == [["(deleted)"], ["(deleted)"]]
    assert [each["answer"] for each in run.outcomes] == [ERASED, "None."]
    assert GoldQuestion.objects.get().must_contain == []
    assert ImportItem.objects.get().source_uri == "(deleted)"
    assert not WatchedFile.objects.exists()
    answers = [message.answer for message in Message.objects.all()]
    assert answers[0] == ERASED
    assert {message.standalone_question for message in Message.objects.all()} == {""}


def cut_off(mia: Caller) -> Message:
    exchange = ask.ask(principal=mia.principal, question="How many days of leave?")
    for event in exchange.events:
        if isinstance(event, Delta):
            break
    exchange.events.close()
    exchange.message.refresh_from_db()
    return exchange.message


def test_erasure_removes_a_stopped_answer(mia: Caller, spread: str) -> None:
    message = cut_off(mia)
    assert message.answer not in {"", ERASED}
    mia.delete(f"/documents/{spread}")
    message.refresh_from_db()
    assert message.answer == ERASED
    assert message.trace == {}


def test_answer_of_a_document_deleted_while_streaming_is_erased(mia: Caller, spread: str) -> None:
    exchange = ask.ask(principal=mia.principal, question="How many days of leave?")
    for event in exchange.events:
        if isinstance(event, Delta):
            break
    mia.delete(f"/documents/{spread}")
    exchange.events.close()
    exchange.message.refresh_from_db()
    assert exchange.message.answer == ERASED


def test_answer_quotes_survive_deletion_of_another_document(
    mia: Caller, base: KnowledgeBase, parts: Engine
) -> None:
    """A document that was in the prompt but isn't cited: the erasure removes everything that was stored
    so far."""
    sentences = ["Employees get 25 days of leave a year.", "Leave that is not taken expires in March."]
    texts = {
        "leave.md": f"# Leave\n\n{' '.join(sentences)}\n",
        "bonn.md": "# Leave\n\nLeave in Bonn is 30 days.\n",
    }
    sent = {name: mia.upload(str(base.id), name, text.encode()) for name, text in texts.items()}
    leave, bonn = (sent[name].json()["document"]["id"] for name in texts)
    with use(replace(parts, chat=FakeChat(" ".join(sentences)))):
        exchange = ask.ask(principal=mia.principal, question="How many days of leave?")
        shown = 0
        for event in exchange.events:
            if isinstance(event, Sources):
                assert {str(hit.document) for hit in event.hits} == {leave, bonn}
            shown += isinstance(event, Delta)
            if isinstance(event, Delta) and shown == 2:  # the first was stored before this one
                assert mia.delete(f"/documents/{bonn}").status_code == 202
    assert shown == 2
    kept = mia.get(f"/messages/{exchange.message.id}").json()
    assert kept["state"] == "done"
    assert [each["marker"] for each in kept["citations"]] == [1, 2]
    assert {each["document"] for each in kept["citations"]} == {leave}
    mia.delete(f"/documents/{leave}")
    exchange.message.refresh_from_db()
    assert exchange.message.answer == ERASED


@pytest.mark.parametrize("grounding", [Grounding.STRICT, Grounding.FLAG])
@pytest.mark.parametrize("when", ["while it is written", "after it", "closed after it"])
def test_uncited_text_is_erased_with_every_document_read_for_it(
    mia: Caller,
    base: KnowledgeBase,
    parts: Engine,
    data: Path,
    grant: Callable[[Caller, Role], None],
    grounding: Grounding,
    when: str,
) -> None:
    """An unsupported sentence may repeat one of the passages."""
    KnowledgeBase.objects.filter(pk=base.pk).update(grounding=grounding)
    ria = caller_for("ria")
    grant(ria, Role.READER)
    kept, secret = (
        "Employees get 25 days of leave a year.",
        f"Employees of {MARK} get 40 hours of leave a year.",
    )
    mia.upload(str(base.id), "leave.md", f"# Leave\n\n{kept}\n".encode())
    sent = mia.upload(str(base.id), "secret.md", f"# Leave\n\nStaff of {MARK}: 40 days of leave.\n".encode())
    document = sent.json()["document"]["id"]
    with use(replace(parts, chat=FakeChat(f"{kept} {secret}"))):
        exchange = ask.ask(principal=ria.principal, question="How many days of leave?")
        for event in exchange.events:
            if when == "while it is written" and isinstance(event, Delta):
                mia.delete(f"/documents/{document}")
    path = f"/messages/{exchange.message.id}"
    if when != "while it is written":
        assert MARK in ria.get(path).content.decode()
        found = ria.get("/conversations?q=40 hours").json()["items"]
        assert bool(found) is (grounding == Grounding.FLAG)
    if when == "after it":
        mia.delete(f"/documents/{document}")
    elif when == "closed after it":
        mia.patch(f"/documents/{document}", {"readers": [f"user:{mia.user.id}"]})
    shown = ria.get(path)
    assert MARK not in shown.content.decode()
    assert (kept in shown.json()["answer"]) is (grounding == Grounding.STRICT)
    found = ria.get("/conversations?q=40 hours").json()["items"]
    assert found == []
    if when != "closed after it":
        assert MARK not in json.dumps(list(Message.objects.values("answer", "sentences")))


def test_refusal_names_no_document_deleted_during_the_search(mia: Caller, base: KnowledgeBase) -> None:
    sent = mia.upload(str(base.id), "x.md", f"# {MARK}\n\nTrains are booked by the desk.\n".encode())
    exchange = ask.ask(principal=mia.principal, question="Which trains may dogs take to Bonn?")
    for event in exchange.events:
        if isinstance(event, Sources):
            mia.delete(f"/documents/{sent.json()['document']['id']}")
    exchange.message.refresh_from_db()
    assert exchange.message.verdict == "refused"
    assert exchange.message.nearest == []


@pytest.fixture
def una(admin: Caller, base: KnowledgeBase, spread: str, grant: Callable[[Caller, Role], None]) -> Caller:
    """A user with a question, an API key and a session."""
    caller = caller_for("una-unaussprechlich")
    User.objects.get(pk=caller.user.id).set_password(PASSWORD)
    grant(caller, Role.READER)
    caller.post("/ask", {"question": "Where is the sauna of Grimbartsholm?"})
    Client().force_login(caller.user)
    return caller


def test_erasing_a_user_leaves_only_ids(admin: Caller, una: Caller, data: Path) -> None:
    if connection.vendor == "sqlite":  # whose file lies there, too
        assert holding(data, "grimbartsholm")
    answer = admin.delete(f"/users/{una.user.id}")
    assert answer.status_code == 204
    receipt = admin.get(answer["Location"].removeprefix("/api/v1")).json()
    assert (receipt["object"], receipt["state"]) == (f"user:{una.user.id}", "done")
    assert receipt["removed"]["rows"] >= 6
    assert una.get("/me").status_code == 401
    if connection.vendor == "sqlite":
        assert not holding(data, "grimbartsholm")
        assert not holding(data, "una-unaussprechlich")
    about = Event.objects.filter(subject=f"user:{una.user.id}").values_list("action", flat=True)
    assert {"user.deleted", "erasure.done", "sign_in"} <= set(about)


def test_sessions_of_other_users_survive_an_erasure(admin: Caller, una: Caller) -> None:
    client = Client()
    client.force_login(admin.user)
    admin.delete(f"/users/{una.user.id}")
    assert client.get("/account").status_code == 200


def test_last_admin_gets_no_erasure_receipt(admin: Caller) -> None:
    assert admin.delete(f"/users/{admin.user.id}").status_code == 409
    assert not Receipt.objects.exists()


class Leaving:
    """An index during whose removal of points an account is deleted."""

    def __init__(self, index: VectorIndex, user: User) -> None:
        self._index, self._user = index, user

    def count(self, *, document: UUID | None = None) -> int:
        return self._index.count(document=document)

    def delete_document(self, document: UUID) -> None:
        self._user.delete()
        self._index.delete_document(document)


def test_erasure_completes_after_its_requester_is_erased(
    mia: Caller, admin: Caller, base: KnowledgeBase, parts: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = mia.upload(str(base.id), "a.md", b"# A\n\nWords.").json()["document"]["id"]
    asker = User.objects.get(pk=admin.principal.user)
    monkeypatch.setattr("ingestion.broker.enqueue_erasure", lambda _receipt: None)
    receipt = admin.delete(f"/documents/{document}").json()["receipt"]["id"]
    documents.erase(UUID(receipt), Leaving(parts.index, asker))
    runner.work_all()
    kept = Receipt.objects.get(pk=receipt)
    assert (kept.state, kept.requested_by) == ("done", None)


def test_sqlite_log_that_was_in_use_is_emptied_later(db: None) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL has no log of ours")
    reader = connection.copy()
    with reader.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT count(*) FROM audit_event")
        caller_for("writer")
        assert not sqlite_wal.scrub()
        cursor.execute("COMMIT")
    reader.close()
    log = Path(f"{connection.settings_dict['NAME']}-wal")
    assert log.stat().st_size > 0
    sqlite_wal.scrub_owed()
    assert log.stat().st_size == 0


def test_sqlite_overwrites_deleted_data(db: None) -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA secure_delete")
            assert cursor.fetchone() == (1,)
