"""The export of a user's data: all of it, but no credentials."""

import io
import json
import random
import tracemalloc
import zipfile
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from cairn.access.models import Role, SourceSubject
from cairn.access.services import grants_replace
from cairn.access.source_access import SourcePerson
from cairn.access.source_services import replace_source_people
from cairn.accounts.models import ApiKey, PasswordMail
from cairn.accounts.provisioning import identity_set
from cairn.accounts.services import api_key_create
from cairn.audit.models import Event
from cairn.library.models import Document, KnowledgeBase
from ingestion.erasure.users import user_erase
from retrieval.assistants.models import Assistant, AssistantReader
from retrieval.conversations.services import WITHHELD, conversation_start
from retrieval.engine import Engine
from retrieval.models import Citation, Message
from tests.principals import SETUP
from tests.web.api.conftest import Caller, assert_problem, caller_for, indexed, streamed
from web.exports.subject_export import BLOCK, MEMBERS, subject_export

QUOTE = "Employees get 25 days of leave a year."
Rows = dict[str, list[dict[str, Any]]]


def unpacked(body: bytes) -> Rows:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        return {
            name.removesuffix(".jsonl"): [json.loads(line) for line in archive.read(name).splitlines()]
            for name in archive.namelist()
        }


def taken(caller: Caller, path: str = "/me/export") -> Rows:
    answer = caller.get(path)
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "application/zip"
    assert answer["Content-Disposition"].startswith("attachment")
    return unpacked(streamed(answer))


@pytest.fixture
def rob(rob: Caller, grant: Callable[[Caller, Role], None], document: Document, parts: Engine) -> Caller:
    """A user with a question and feedback on its answer."""
    grant(rob, Role.EDITOR)
    (chunk,) = indexed(document, parts, QUOTE)
    conversation = conversation_start(principal=rob.principal, question="How many days?")
    message = Message.objects.create(
        conversation=conversation, question="How many days?", answer=f"{QUOTE} [1]", state="done",
        rating="up", rating_comment="Helpful.",
    )  # fmt: skip
    Citation.objects.create(
        message=message, marker=1, document=document, version=chunk.version_id, chunk=chunk.id,
        title=document.title, quote=QUOTE,
    )  # fmt: skip
    rob.upload(str(document.knowledge_base_id), "mine.md", b"# Mine")
    Assistant.objects.create(
        name="Leave", slug="leave", instructions="Be brief.", created_by=rob.user, everyone=True
    )
    Client().force_login(rob.user)
    return rob


def test_user_export_contains_all_data_of_the_user(rob: Caller, mia: Caller, base: KnowledgeBase) -> None:
    rows = taken(rob)
    assert list(rows) == list(MEMBERS)
    assert rows["profile"][0]["username"] == "rob"
    assert rows["grants"] == [{"knowledge_base": str(base.id), "role": "editor"}]
    assert [key["label"] for key in rows["keys"]] == ["test"]
    assert len(rows["sessions"]) == 1
    (message,) = rows["conversations"][0]["messages"]
    assert (message["question"], message["answer"]) == ("How many days?", f"{QUOTE} [1]")
    assert message["citations"][0]["quote"] == QUOTE
    assert message["feedback"] == {"rating": "up", "reason": "", "comment": "Helpful."}
    assert [(each["name"], each["instructions"]) for each in rows["assistants"]] == [("Leave", "Be brief.")]
    assert [upload["filename"] for upload in rows["uploads"]] == ["mine.md"]
    assert {"document.submitted", "sign_in"} <= {event["action"] for event in rows["audit"]}
    assert all(event["actor"] == str(rob.user.id) for event in rows["audit"])
    assert Event.objects.filter(action="user.exported", subject=f"user:{rob.user.id}").count() == 1


def test_user_export_contains_password_mails_and_assistant_grants(
    admin: Caller, rob: Caller, mia: Caller
) -> None:
    PasswordMail.objects.create(
        user=mia.user, language="en", days=1, requested_by=rob.user, error="550 mia@example.org"
    )
    assistant = Assistant.objects.create(name="Trips", slug="trips", instructions="Be brief.")
    AssistantReader.objects.create(assistant=assistant, user=mia.user)
    mias, robs = taken(mia), taken(rob)
    assert mias["link_mails"][0]["error"] == "550 mia@example.org"
    assert mias["assistant_access"] == [{"assistant": str(assistant.pk)}]
    assert [mail["user"] for mail in robs["requested_link_mails"]] == [str(mia.user.pk)]
    assert robs["link_mails"] == robs["assistant_access"] == mias["requested_link_mails"] == []
    assert "550" not in json.dumps(robs)


def test_user_export_contains_linked_source_people_until_erasure(
    admin: Caller, rob: Caller, mia: Caller
) -> None:
    identity_set(rob.user, source="ldap", external_id="id-rob", actor=None)
    people = [
        SourcePerson("S-1", "Rob", email="rob@example.org", directory_id="id-rob"),
        SourcePerson("S-2", "Kim", email="kim@example.org"),
    ]
    source = uuid4()
    replace_source_people(source, people, directory="ldap", match_email=False)
    (row,) = taken(rob)["source_people"]
    assert (row["source"], row["external_id"], row["email"]) == (str(source), "S-1", "rob@example.org")
    assert taken(mia)["source_people"] == []
    user_erase(user=rob.user, actor=None)
    assert set(SourceSubject.objects.values_list("external_id", "name", "email", "directory_id")) == {
        ("S-1", "", "", ""),
        ("S-2", "Kim", "kim@example.org", ""),
    }


def test_user_export_contains_no_foreign_data_or_secrets(rob: Caller, mia: Caller) -> None:
    conversation_start(principal=mia.principal, question="Mia's own question")
    text = json.dumps(taken(rob))
    assert "Mia's own question" not in text
    assert rob.key not in text
    assert ApiKey.objects.get(user=rob.user).digest not in text
    assert "password" not in text
    client = Client()
    client.force_login(rob.user)
    assert client.session.session_key not in json.dumps(taken(rob))


def test_user_export_withholds_answers_without_access(rob: Caller, base: KnowledgeBase) -> None:
    grants_replace(knowledge_base=base, grants=[], principal=SETUP)
    rows = taken(rob)
    assert rows["conversations"][0]["messages"][0]["answer"] == WITHHELD
    assert QUOTE not in json.dumps(rows)


def test_admins_export_a_user_and_it_is_audited(admin: Caller, rob: Caller, mia: Caller) -> None:
    path = f"/users/{rob.user.id}/export"
    assert taken(admin, path)["profile"][0]["username"] == "rob"
    event = Event.objects.get(action="user.exported")
    assert event.actor == admin.user.id
    assert_problem(mia.get(path), 403, "forbidden")


def test_limited_keys_cannot_export_a_user(rob: Caller, base: KnowledgeBase) -> None:
    restrictions: list[dict[str, Any]] = [{"scopes": ["ask", "manage"]}, {"knowledge_bases": [base.id]}]
    for limits in restrictions:
        _, key = api_key_create(user=rob.user, label="x", **limits)
        assert_problem(Caller(rob.user, key).get("/me/export"), 403, "forbidden")


def test_user_export_is_disabled_while_viewing_as_a_user(admin: Caller, rob: Caller) -> None:
    client = Client()
    client.force_login(admin.user)
    client.post(f"/admin/users/{rob.user.id}/view-as")
    assert_problem(client.get("/api/v1/me/export"), 403, "read_only")


def test_pages_link_the_user_export(admin: Caller, rob: Caller) -> None:
    client = Client()
    client.force_login(admin.user)
    assert "/api/v1/me/export" in client.get("/account").content.decode()
    assert f"/api/v1/users/{rob.user.id}/export" in client.get(f"/admin/users/{rob.user.id}").content.decode()


@pytest.mark.slow
def test_user_export_is_streamed(db: None) -> None:
    caller, noise = caller_for("talker"), random.Random(5)
    for _ in range(180):
        conversation = conversation_start(principal=caller.principal, question="More?")
        Message.objects.create(
            conversation=conversation, question="More?", answer=noise.randbytes(60_000).hex()
        )
    tracemalloc.start()
    sizes = [len(part) for part in subject_export(caller.user)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert max(sizes) < 4 * BLOCK
    assert peak < sum(sizes) / 2
