from cairn.access.models import Role
from cairn.access.services import grant_give
from cairn.accounts.external_groups import groups_replace
from cairn.library.models import KnowledgeBase
from tests.principals import SETUP
from tests.web.api.conftest import Caller, assert_problem

ABSENT = "00000000-0000-0000-0000-000000000001"


def test_group_is_created_changed_and_deleted(admin: Caller, rob: Caller) -> None:
    made = admin.post("/groups", {"name": "Staff", "members": [str(rob.user.id)]})
    assert made.status_code == 201
    group = made.json()
    members = [str(rob.user.id)]
    assert group == {
        "id": group["id"], "name": "Staff", "source": "", "members": members, "managers": [],
        "can_create_knowledge_bases": False,
    }  # fmt: skip
    assert rob.get("/me").json()["groups"] == [group["id"]]
    renamed = admin.patch(f"/groups/{group['id']}", {"name": "Team"}).json()
    assert renamed == {**group, "name": "Team"}
    assert admin.patch(f"/groups/{group['id']}", {"members": []}).json()["members"] == []
    assert rob.get("/me").json()["groups"] == []
    assert admin.get("/groups").json()["items"] == [{**renamed, "members": []}]
    assert admin.delete(f"/groups/{group['id']}").status_code == 204
    assert_problem(admin.get(f"/groups/{group['id']}"), 404, "not_found")


def test_duplicate_group_name_conflicts(admin: Caller) -> None:
    admin.post("/groups", {"name": "Staff"})
    assert_problem(admin.post("/groups", {"name": "Staff"}), 409, "conflict")


def test_invalid_groups_are_refused(admin: Caller) -> None:
    for body in [
        {},
        {"name": " "},
        {"name": "a" * 151},
        {"name": "a", "members": [ABSENT]},
        {"name": "a", "managers": [ABSENT]},
        {"name": "a", "x": 1},
    ]:
        assert_problem(admin.post("/groups", body), 422, "invalid")


def test_name_and_members_of_a_directory_group_cannot_be_changed(admin: Caller, rob: Caller) -> None:
    groups_replace(rob.user, source="oidc:okta", names=["Staff"])
    [group] = admin.get("/groups").json()["items"]
    assert group == {**group, "name": "Staff", "source": "oidc:okta", "members": [str(rob.user.id)]}
    for change in ({"name": "Team"}, {"members": []}):
        assert_problem(admin.patch(f"/groups/{group['id']}", change), 409, "managed_elsewhere")
    assert_problem(
        admin.patch(f"/users/{admin.user.id}", {"groups": [group["id"]]}), 409, "managed_elsewhere"
    )
    assert admin.get(f"/groups/{group['id']}").json() == group
    managed = admin.patch(f"/groups/{group['id']}", {"managers": [str(rob.user.id)]}).json()
    assert managed == {**group, "managers": [str(rob.user.id)]}  # who manages it is decided here


def test_managers_of_a_group_are_set_replaced_and_cleared(admin: Caller, mia: Caller, rob: Caller) -> None:
    group = admin.post("/groups", {"name": "Staff", "managers": [str(mia.user.id)]}).json()
    path = f"/groups/{group['id']}"
    assert group["managers"] == [str(mia.user.id)]
    assert admin.patch(path, {"managers": [str(rob.user.id)]}).json()["managers"] == [str(rob.user.id)]
    assert admin.patch(path, {"name": "Team"}).json()["managers"] == [str(rob.user.id)]
    assert admin.patch(path, {"managers": []}).json()["managers"] == []
    assert_problem(mia.patch(path, {"managers": [str(mia.user.id)]}), 403, "forbidden")


def test_recreated_directory_group_has_no_previous_grants(
    admin: Caller, rob: Caller, base: KnowledgeBase
) -> None:
    groups_replace(rob.user, source="ldap", names=["Staff"])
    [group] = admin.get("/groups").json()["items"]
    grant_give(knowledge_base=base, subject=f"group:{group['id']}", role=Role.READER, principal=SETUP)
    assert len(rob.get("/knowledge-bases").json()["items"]) == 1
    assert admin.delete(f"/groups/{group['id']}").status_code == 204
    groups_replace(rob.user, source="ldap", names=["Staff"])
    assert rob.get("/me").json()["groups"] not in ([], [group["id"]])
    assert rob.get("/knowledge-bases").json()["items"] == []
