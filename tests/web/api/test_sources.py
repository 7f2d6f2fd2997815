"""Sources over HTTP: set up and changed by admins, seen by managers, with secrets that never come back."""

from collections.abc import Callable
from typing import Any

import pytest

from cairn.access.models import Role, SourceSubject, SubjectKind
from cairn.audit.models import Event
from cairn.library.models import KnowledgeBase
from ingestion import broker
from ingestion.models import Source, SourceItem, SourceSchedule
from ingestion.sources.protocol import CheckStep
from tests.sources_kind import PASSWORD, add_shelf
from tests.web.api.conftest import Caller, assert_problem
from web.api.library.sources import ConnectedSourceCheck

OPTIONS = {"url": "https://shelf.example.org", "username": "cairn", "password": PASSWORD}


@pytest.fixture(autouse=True)
def shelf(monkeypatch: pytest.MonkeyPatch) -> None:
    add_shelf(monkeypatch)
    monkeypatch.setattr(broker, "send", lambda *_: None)


def add(caller: Caller, base: KnowledgeBase, **more: Any) -> Any:
    body = {"knowledge_base": str(base.id), "kind": "shelf", "name": "Staff shelf", "options": OPTIONS}
    return caller.post("/sources", {**body, **more})


@pytest.fixture
def source(admin: Caller, base: KnowledgeBase) -> dict[str, Any]:
    made = add(admin, base)
    assert made.status_code == 201, made.content
    found: dict[str, Any] = made.json()
    return found


def test_source_kinds_have_a_schema_of_their_options(admin: Caller, mia: Caller) -> None:
    [kind] = [each for each in admin.get("/sources/kinds").json() if each["name"] == "shelf"]
    assert (kind["label"], kind["has_access"], kind["secrets"]) == ("Shelf", True, ["password"])
    assert kind["options"]["properties"]["port"]["maximum"] == 65535
    assert kind["options"]["required"] == ["url"]
    assert mia.get("/sources/kinds").status_code == 403


def test_source_never_returns_its_secret(admin: Caller, source: dict[str, Any]) -> None:
    assert source["options"] == {
        "url": "https://shelf.example.org", "username": "cairn", "port": 443, "verify": True,
        "security": "tls", "folders": [],
    }  # fmt: skip
    assert source["secrets_set"] == ["password"]
    assert {task["task"]: task["every_seconds"] for task in source["tasks"]} == {
        "content": 3600, "access": 900, "people": 3600,
    }  # fmt: skip
    assert source["items"] == {"synced": 0, "pending": 0, "failed": 0, "excluded": 0}
    shown = admin.get(f"/sources/{source['id']}").content + admin.get("/sources").content
    assert PASSWORD.encode() not in shown
    row = Source.objects.get()
    assert PASSWORD not in row.secrets + str(row.options)
    assert PASSWORD not in str(list(Event.objects.values()))
    assert "source.created" in set(Event.objects.values_list("action", flat=True))


def test_every_invalid_option_is_named(admin: Caller, base: KnowledgeBase) -> None:
    wrong = {"url": "ftp://shelf", "port": 0, "security": "rot13", "color": "red"}
    problem = assert_problem(add(admin, base, options=wrong), 422, "invalid")
    assert {error["loc"][2]: error["msg"] for error in problem["errors"]} == {
        "url": "The address must start with https://.",
        "port": "Input should be greater than or equal to 1",
        "security": "Input should be 'tls' or 'none'",
        "color": "Extra inputs are not permitted",
    }
    assert add(admin, base, kind="nothing").status_code == 422
    assert add(admin, base, every_seconds={"content": 5}).status_code == 422
    assert not Source.objects.exists()


def test_duplicate_source_name_in_a_knowledge_base_conflicts(
    admin: Caller, base: KnowledgeBase, source: dict[str, Any]
) -> None:
    assert source["name"] == "Staff shelf"
    assert add(admin, base).status_code == 409


def test_managers_see_sources_and_only_admins_change_them(
    admin: Caller, mia: Caller, rob: Caller, source: dict[str, Any], base: KnowledgeBase,
    grant: Callable[[Caller, Role], None],
) -> None:  # fmt: skip
    path = f"/sources/{source['id']}"
    assert mia.get(path).json()["name"] == "Staff shelf"
    assert [each["id"] for each in mia.get("/sources").json()["items"]] == [source["id"]]
    assert mia.get(f"{path}/items").status_code == 200
    grant(rob, Role.EDITOR)
    assert rob.get(path).status_code == 404
    assert rob.get("/sources").json()["items"] == []
    for answer in (
        add(mia, base, name="Mine"),
        mia.patch(path, {"enabled": False}),
        mia.delete(path),
        mia.post(f"{path}/check"),
        mia.post(f"{path}/sync", {}),
        mia.get(f"{path}/people"),
        mia.post("/sources/check", {"kind": "shelf", "options": OPTIONS}),
    ):
        assert answer.status_code == 403
    assert admin.get(f"/sources?knowledge_base={base.slug}").json()["items"]
    assert not admin.get("/sources?knowledge_base=elsewhere").json()["items"]


def test_source_change_preserves_the_secret_unless_the_server_changes(
    admin: Caller, source: dict[str, Any]
) -> None:
    path = f"/sources/{source['id']}"
    kept = {"url": "https://shelf.example.org", "username": "other"}
    changed = admin.patch(path, {"options": kept, "every_seconds": {"content": 7200}, "enabled": False})
    assert changed.status_code == 200, changed.content
    assert changed.json()["secrets_set"] == ["password"]
    assert changed.json()["options"]["username"] == "other"
    assert changed.json()["enabled"] is False
    assert admin.post(f"{path}/check").json()["problem"] is None
    moved = admin.patch(path, {"options": {"url": "https://attacker.example.org"}})
    assert_problem(moved, 422, "invalid")
    assert Source.objects.get().options["url"] == "https://shelf.example.org"
    assert admin.patch(path, {"name": None}).status_code == 422


def test_source_check_lists_steps_up_to_the_first_problem(admin: Caller, source: dict[str, Any]) -> None:
    good = admin.post(f"/sources/{source['id']}/check").json()
    assert [step["name"] for step in good["steps"]] == ["Connect", "Sign in", "List"]
    assert good["problem"] is None
    unencrypted = {"kind": "shelf", "options": {**OPTIONS, "security": "none"}}
    warned = admin.post("/sources/check", unencrypted).json()
    assert [step["state"] for step in warned["steps"]] == ["warning", "passed", "passed"]
    assert (warned["steps"][0]["warning"], warned["problem"]) == ("The connection isn’t encrypted.", None)
    typed = {"kind": "shelf", "options": {**OPTIONS, "password": "wrong"}}
    bad = admin.post("/sources/check", typed).json()
    assert bad["problem"] == "The password is wrong."
    assert [step["problem"] for step in bad["steps"]] == ["", "The password is wrong."]
    assert [step["state"] for step in bad["steps"]] == ["passed", "failed"]
    locked = admin.post("/sources/check", {"kind": "shelf", "options": {**OPTIONS, "username": "locked"}})
    assert locked.json()["problem"] == "This account is locked."
    answered = [event.detail["answered"] for event in Event.objects.filter(action="source.checked")]
    assert sorted(answered) == [False, False, True, True]


def test_source_dry_run_imports_nothing(admin: Caller, source: dict[str, Any]) -> None:
    for found in (
        admin.post(f"/sources/{source['id']}/dry-run").json(),
        admin.post("/sources/dry-run", {"kind": "shelf", "options": OPTIONS}).json(),
    ):
        assert (found["items"], found["bytes"], found["complete"]) == (2, 5000, True)
        assert found["unsized"] == 0
        assert [sample["name"] for sample in found["samples"]] == ["leave.md", "pay.md"]
        assert found["largest"] == [{"container": "staff", "items": 2, "reason": ""}]
        assert [each["container"] for each in found["unlisted"]] == ["board"]
    assert not SourceItem.objects.exists()


def test_sync_is_requested_per_task(admin: Caller, source: dict[str, Any]) -> None:
    SourceSchedule.objects.update(requested_at=None)
    path = f"/sources/{source['id']}/sync"
    answer = admin.post(path, {"task": "access"})
    assert answer.status_code == 202
    assert {task["task"] for task in answer.json()["tasks"] if task["requested"]} == {"access"}
    assert admin.post(path, {"task": "everything"}).status_code == 422


def test_items_have_a_state_and_a_reason(admin: Caller, source: dict[str, Any]) -> None:
    row = Source.objects.get()
    for at, (synced, error, excluded) in enumerate(
        [("1", "", False), ("", "", False), ("", "Too large.", False), ("1", "", True)]
    ):
        SourceItem.objects.create(
            source=row, external_id=str(at), name=f"{at}.md", uri=f"shelf://{at}.md", version="1",
            synced_version=synced, error=error, excluded=excluded,
        )  # fmt: skip
    path = f"/sources/{source['id']}/items"
    states = [(item["state"], item["reason"]) for item in admin.get(path).json()["items"]]
    assert states == [("synced", ""), ("pending", ""), ("failed", "Too large."), ("excluded", "")]
    for state, _ in states:
        assert [item["state"] for item in admin.get(f"{path}?state={state}").json()["items"]] == [state]
    assert admin.get(f"/sources/{source['id']}").json()["items"] == dict.fromkeys(
        ["synced", "pending", "failed", "excluded"], 1
    )
    first = admin.get(f"{path}?limit=3").json()
    rest = admin.get(f"{path}?limit=3&cursor={first['next_cursor']}").json()
    assert [item["name"] for item in rest["items"]] == ["3.md"]
    assert [item["name"] for item in admin.get(f"{path}?q=2.md").json()["items"]] == ["2.md"]


def test_people_are_linked_by_hand(admin: Caller, rob: Caller, source: dict[str, Any]) -> None:
    person = SourceSubject.objects.create(
        source=source["id"], external_id="p1", kind=SubjectKind.PERSON, name="Rob Roe", email="r@example.org"
    )
    elsewhere = SourceSubject.objects.create(
        source=rob.user.pk, external_id="p1", kind=SubjectKind.PERSON, name="Of another source"
    )
    path = f"/sources/{source['id']}/people"
    [shown] = admin.get(f"{path}?show=unlinked").json()["items"]
    assert (shown["name"], shown["user"], shown["link"]) == ("Rob Roe", None, "")
    linked = admin.put(f"{path}/{person.pk}", {"user": str(rob.user.pk)})
    assert linked.json()["user"]["username"] == "rob"
    assert linked.json()["link"] == "manual"
    assert admin.get(f"{path}?show=unlinked").json()["items"] == []
    assert admin.put(f"{path}/{person.pk}", {"user": None}).json()["link"] == "nobody"
    assert admin.put(f"{path}/{elsewhere.pk}", {"user": None}).status_code == 404
    assert admin.put(f"{path}/x", {"user": None}).status_code == 404
    rob.user.is_active = False
    rob.user.save()
    assert admin.put(f"{path}/{person.pk}", {"user": str(rob.user.pk)}).status_code == 422


@pytest.mark.parametrize("delete", [True, False])
def test_deleting_a_source_deletes_documents_only_on_request(
    admin: Caller, source: dict[str, Any], delete: bool
) -> None:
    path = f"/sources/{source['id']}"
    assert admin.delete(f"{path}?delete_documents={str(delete).lower()}").status_code == 204
    assert admin.get(path).status_code == 404
    row = Source.objects.get()
    assert (row.deleted_at is not None, row.delete_documents, row.secrets) == (True, delete, "")


def test_warning_is_also_the_detail_of_a_step_without_one() -> None:
    """Programs that don't know warnings yet show the detail."""
    unencrypted = CheckStep("connect", warning="The connection isn’t encrypted.")
    known = CheckStep("list", detail="12 folders", warning="Two folders can’t be read.")

    steps = ConnectedSourceCheck.of([unencrypted, known]).steps

    assert [(step.detail, step.warning) for step in steps] == [
        ("The connection isn’t encrypted.", "The connection isn’t encrypted."),
        ("12 folders", "Two folders can’t be read."),
    ]
