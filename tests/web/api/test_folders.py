"""Conversations are sorted into folders, which only their owner sees."""

import io
import json
import zipfile
from typing import Any

import pytest

from cairn.accounts.services import api_key_create
from cairn.library.models import KnowledgeBase
from retrieval.conversations.folders import MAX_FOLDERS
from retrieval.models import Conversation, ConversationFolder
from tests.web.api.conftest import Caller, assert_problem
from web.exports.subject_export import subject_export

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def conversation(rob: Caller) -> str:
    return str(Conversation.objects.create(user=rob.user, title="Leave").id)


def create(caller: Caller, name: str = "Travel") -> str:
    response = caller.post("/conversation-folders", {"name": name})
    assert response.status_code == 201, response.content
    return str(response.json()["id"])


def listed(caller: Caller, folder: str) -> list[str]:
    found = caller.get(f"/conversations?folder={folder}")
    assert found.status_code == 200, found.content
    return [each["id"] for each in found.json()["items"]]


def test_conversation_is_moved_into_and_out_of_a_folder(rob: Caller, conversation: str) -> None:
    folder = create(rob, "  Business   travel ")
    assert [each["name"] for each in rob.get("/conversation-folders").json()["items"]] == ["Business travel"]
    other = str(Conversation.objects.create(user=rob.user, title="Other").id)
    assert rob.patch(f"/conversations/{conversation}", {"folder": folder}).json()["folder"] == folder
    assert listed(rob, folder) == [conversation]
    assert {each["id"] for each in rob.get("/conversations").json()["items"]} == {conversation, other}
    assert rob.patch(f"/conversations/{conversation}", {"title": "Renamed"}).json()["folder"] == folder
    assert rob.patch(f"/conversations/{conversation}", {"folder": None}).json()["folder"] is None
    assert listed(rob, folder) == []


def test_deleting_a_folder_leaves_its_conversations(rob: Caller, conversation: str) -> None:
    folder = create(rob)
    rob.patch(f"/conversations/{conversation}", {"folder": folder})
    assert rob.patch(f"/conversation-folders/{folder}", {"name": "Trips"}).json()["name"] == "Trips"
    assert rob.delete(f"/conversation-folders/{folder}").status_code == 204
    assert rob.get(f"/conversations/{conversation}").json()["folder"] is None
    assert_problem(rob.get(f"/conversations?folder={folder}"), 404, "not_found")


def test_folders_of_other_users_are_not_found(
    rob: Caller, mia: Caller, admin: Caller, conversation: str
) -> None:
    folder = create(rob)
    for other in (mia, admin):
        assert other.get("/conversation-folders").json()["items"] == []
        path = f"/conversation-folders/{folder}"
        for response in (other.patch(path, {"name": "x"}), other.delete(path)):
            assert_problem(response, 404, "not_found")
        assert_problem(other.get(f"/conversations?folder={folder}"), 404, "not_found")
    theirs = create(mia)
    assert_problem(rob.patch(f"/conversations/{conversation}", {"folder": theirs}), 404, "not_found")
    assert rob.get(f"/conversations/{conversation}").json()["folder"] is None


def test_key_limited_to_knowledge_bases_sees_no_folders(rob: Caller, base: KnowledgeBase) -> None:
    folder = create(rob)
    _, key = api_key_create(user=rob.user, label="some", scopes=["ask"], knowledge_bases=[base.id])
    limited = Caller(rob.user, key)
    assert limited.get("/conversation-folders").json()["items"] == []
    assert_problem(limited.delete(f"/conversation-folders/{folder}"), 404, "not_found")
    for name in ("Travel", "Unused"):
        assert_problem(limited.post("/conversation-folders", {"name": name}), 403, "forbidden")


def test_names_are_unique_for_each_person_and_folders_limited(rob: Caller, mia: Caller) -> None:
    create(rob)
    create(mia)
    assert_problem(rob.post("/conversation-folders", {"name": "Travel"}), 409, "conflict")
    other = create(rob, "Other")
    assert_problem(rob.patch(f"/conversation-folders/{other}", {"name": "Travel"}), 409, "conflict")
    for name in ("", "   ", "x" * 61, None):
        assert rob.post("/conversation-folders", {"name": name}).status_code == 422
    ConversationFolder.objects.bulk_create(
        ConversationFolder(user=rob.user, name=f"Folder {number}") for number in range(MAX_FOLDERS - 2)
    )
    assert_problem(rob.post("/conversation-folders", {"name": "One more"}), 409, "conflict")


def test_folders_are_exported_and_erased_with_their_owner(
    rob: Caller, admin: Caller, conversation: str
) -> None:
    folder = create(rob)
    rob.patch(f"/conversations/{conversation}", {"folder": folder})
    with zipfile.ZipFile(io.BytesIO(b"".join(subject_export(rob.user)))) as archive:
        [exported] = rows(archive, "conversation_folders")
        assert (exported["id"], exported["name"]) == (folder, "Travel")
        assert [each["folder"] for each in rows(archive, "conversations")] == [folder]
    assert admin.delete(f"/users/{rob.user.id}").status_code == 204
    assert not ConversationFolder.objects.exists()


def rows(archive: zipfile.ZipFile, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in archive.read(f"{name}.jsonl").splitlines()]


def test_restored_conversation_returns_to_its_existing_folder(rob: Caller, conversation: str) -> None:
    folder = create(rob)
    rob.patch(f"/conversations/{conversation}", {"folder": folder})
    path = f"/conversations/{conversation}"
    assert rob.delete(f"{path}?restorable=true").status_code == 200
    assert rob.post(f"{path}/restore").json()["folder"] == folder
    assert rob.delete(f"{path}?restorable=true").status_code == 200
    rob.delete(f"/conversation-folders/{folder}")
    assert rob.post(f"{path}/restore").json()["folder"] is None


def test_sidebar_lists_folders_and_their_conversations(rob: Caller, conversation: str) -> None:
    folder = create(rob, "<b>Travel</b>")
    rob.patch(f"/conversations/{conversation}", {"folder": folder})
    rob.client.force_login(rob.user)
    shown = rob.client.get("/conversations").content.decode()
    assert "&lt;b&gt;Travel&lt;/b&gt;" in shown
    assert conversation not in shown
    inside = rob.client.get(f"/conversations?folder={folder}").content.decode()
    assert conversation in inside
    assert conversation in rob.client.get("/conversations?q=leave").content.decode()
    for value in ("nonsense", "00000000-0000-4000-8000-000000000000"):
        assert rob.client.get(f"/conversations?folder={value}").status_code == 404
