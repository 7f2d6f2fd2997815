from tests.web.api.conftest import Caller, assert_problem

ABSENT = "00000000-0000-0000-0000-000000000001"


def test_a_group_is_made_changed_and_removed(admin: Caller, rob: Caller) -> None:
    made = admin.post("/groups", {"name": "Staff", "members": [str(rob.user.id)]})
    assert made.status_code == 201
    group = made.json()
    assert group == {"id": group["id"], "name": "Staff", "members": [str(rob.user.id)]}
    assert rob.get("/me").json()["groups"] == [group["id"]]
    renamed = admin.patch(f"/groups/{group['id']}", {"name": "Team"}).json()
    assert renamed == {**group, "name": "Team"}
    assert admin.patch(f"/groups/{group['id']}", {"members": []}).json()["members"] == []
    assert rob.get("/me").json()["groups"] == []
    assert admin.get("/groups").json()["items"] == [{**renamed, "members": []}]
    assert admin.delete(f"/groups/{group['id']}").status_code == 204
    assert_problem(admin.get(f"/groups/{group['id']}"), 404, "not_found")


def test_names_are_taken(admin: Caller) -> None:
    admin.post("/groups", {"name": "Staff"})
    assert_problem(admin.post("/groups", {"name": "Staff"}), 409, "conflict")


def test_invalid_groups_are_refused(admin: Caller) -> None:
    for body in [
        {},
        {"name": " "},
        {"name": "a" * 151},
        {"name": "a", "members": [ABSENT]},
        {"name": "a", "x": 1},
    ]:
        assert_problem(admin.post("/groups", body), 422, "invalid")
