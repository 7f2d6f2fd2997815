import re
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from cairn.access.models import Role
from cairn.access.services import readers_replace
from cairn.library.models import Document, KnowledgeBase
from tests.bases import let_create, make_base
from tests.web.api.conftest import Caller, assert_problem


def test_knowledge_base_is_created_by_its_manager(rob: Caller, mia: Caller) -> None:
    let_create(rob.user)
    made = rob.post("/knowledge-bases", {"name": "Field notes", "description": "Of the north"})
    assert made.status_code == 201
    base = made.json()
    assert base == {
        "id": base["id"], "name": "Field notes", "slug": base["slug"], "description": "Of the north",
        "sensitivity": "internal", "grounding": "strict", "retention_days": None, "my_role": "manager",
        "outside_models": "default", "official": False, "owner": {"id": str(rob.user.id), "username": "rob"},
        "documents": 0, "chunks": 0, "created_at": base["created_at"],
    }  # fmt: skip
    assert re.fullmatch(r"field-notes-[0-9a-f]{8}", base["slug"])
    assert rob.get(f"/knowledge-bases/{base['id']}").json() == base
    assert rob.get("/knowledge-bases").json() == {"items": [base], "next_cursor": None}
    assert mia.get("/knowledge-bases").json() == {"items": [], "next_cursor": None}


def test_knowledge_base_is_changed(mia: Caller, base: KnowledgeBase) -> None:
    path = f"/knowledge-bases/{base.id}"
    before = mia.get(path).json()
    changed = mia.patch(path, {"sensitivity": "confidential", "grounding": "flag"})
    assert changed.json() == {**before, "sensitivity": "confidential", "grounding": "flag"}


def test_deleted_knowledge_base_disappears_immediately(
    mia: Caller, base: KnowledgeBase, document: Document
) -> None:
    response = mia.delete(f"/knowledge-bases/{base.id}")
    assert response.status_code == 202
    receipt = response.json()["receipt"]
    assert mia.get(f"/receipts/{receipt['id']}").json() == receipt
    assert receipt["object"] == f"knowledge-base:{base.id}"
    assert receipt["state"] == "pending"
    assert receipt["removed"].keys() == {"rows", "chunks", "points", "files", "quotes"}
    assert_problem(mia.get(f"/knowledge-bases/{base.id}"), 404, "not_found")
    assert_problem(mia.get(f"/documents/{document.id}"), 404, "not_found")
    assert_problem(mia.delete(f"/knowledge-bases/{base.id}"), 404, "not_found")


def test_receipt_is_visible_to_its_requester_and_admins(
    mia: Caller, rob: Caller, admin: Caller, base: KnowledgeBase
) -> None:
    receipt = mia.delete(f"/knowledge-bases/{base.id}").json()["receipt"]["id"]
    assert_problem(rob.get(f"/receipts/{receipt}"), 404, "not_found")
    assert admin.get(f"/receipts/{receipt}").status_code == 200


def test_replaced_grants_apply_immediately(mia: Caller, rob: Caller, base: KnowledgeBase) -> None:
    path = f"/knowledge-bases/{base.id}"
    mine = {"subject": f"user:{mia.user.id}", "role": "manager"}
    his = {"subject": f"user:{rob.user.id}", "role": "reader"}
    assert mia.get(f"{path}/grants").json() == [mine]
    assert_problem(rob.get(path), 404, "not_found")
    assert mia.put(f"{path}/grants", [mine, his]).json() == [mine, his]
    assert rob.get(path).json()["my_role"] == "reader"
    assert mia.put(f"{path}/grants", [mine]).json() == [mine]
    assert_problem(rob.get(path), 404, "not_found")


def test_grants_may_name_groups_and_everyone(
    mia: Caller, rob: Caller, admin: Caller, base: KnowledgeBase
) -> None:
    group = admin.post("/groups", {"name": "Staff", "members": [str(rob.user.id)]}).json()["id"]
    grants = [
        {"subject": f"user:{mia.user.id}", "role": "manager"},
        {"subject": f"group:{group}", "role": "editor"},
        {"subject": "everyone", "role": "reader"},
    ]
    assert admin.put(f"/knowledge-bases/{base.id}/grants", grants).json() == grants
    assert rob.get(f"/knowledge-bases/{base.id}").json()["my_role"] == "editor"


def test_admin_manages_every_knowledge_base(admin: Caller, base: KnowledgeBase) -> None:
    assert admin.get(f"/knowledge-bases/{base.id}").json()["my_role"] == "manager"


def test_counts_include_only_readable_documents(
    mia: Caller, rob: Caller, base: KnowledgeBase, document: Document, grant: Any
) -> None:
    grant(rob, Role.READER)
    version = document.latest_version
    assert version is not None
    version.chunk_count = 7
    version.save()
    document.active_version = version
    document.save()
    counted = rob.get(f"/knowledge-bases/{base.id}").json()
    assert (counted["documents"], counted["chunks"]) == (1, 7)
    readers_replace(document=document, readers=[f"user:{mia.user.id}"], actor=None)
    counted = rob.get(f"/knowledge-bases/{base.id}").json()
    assert (counted["documents"], counted["chunks"]) == (0, 0)


def test_knowledge_base_list_is_paged_without_gaps(mia: Caller) -> None:
    made = [str(make_base(name=f"Base {n}", principal=mia.principal).id) for n in range(5)]
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = mia.get(f"/knowledge-bases?limit=2&cursor={cursor}").json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == made
    assert cursor is None


def test_knowledge_base_list_has_a_constant_number_of_queries(mia: Caller) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert mia.get("/knowledge-bases").status_code == 200
        return len(captured)

    make_base(name="One", principal=mia.principal)
    mia.get("/me")  # marks the key as used
    one = queries()
    for number in range(5):
        make_base(name=f"More {number}", principal=mia.principal)
    assert queries() == one
