from tests.web.api.conftest import Caller, assert_problem

ABSENT = "00000000-0000-0000-0000-000000000001"


def test_user_is_created_changed_and_deleted(admin: Caller) -> None:
    group = admin.post("/groups", {"name": "Staff"}).json()["id"]
    made = admin.post("/users", {"username": "eve", "password": "a long enough one", "groups": [group]})
    assert made.status_code == 201
    user = made.json()
    assert user == {
        "id": user["id"], "username": "eve", "display_name": "", "email": "",
        "is_admin": False, "is_active": True, "groups": [group],
    }  # fmt: skip
    changed = admin.patch(f"/users/{user['id']}", {"is_active": False, "groups": []})
    assert changed.status_code == 200
    assert changed.json() == {**user, "is_active": False, "groups": []}
    assert admin.get(f"/users/{user['id']}").json() == changed.json()
    assert admin.delete(f"/users/{user['id']}").status_code == 204
    assert_problem(admin.get(f"/users/{user['id']}"), 404, "not_found")


def test_empty_patch_leaves_a_user_unchanged(admin: Caller, rob: Caller) -> None:
    before = admin.get(f"/users/{rob.user.id}").json()
    assert admin.patch(f"/users/{rob.user.id}", {}).json() == before


def test_duplicate_usernames_conflict_case_insensitively(admin: Caller, rob: Caller) -> None:
    assert_problem(admin.post("/users", {"username": "ROB"}), 409, "conflict")
    assert_problem(admin.patch(f"/users/{rob.user.id}", {"username": "Ada"}), 409, "conflict")


def test_last_admin_cannot_be_removed(admin: Caller) -> None:
    path = f"/users/{admin.user.id}"
    assert_problem(admin.patch(path, {"is_admin": False}), 409, "conflict")
    assert_problem(admin.patch(path, {"is_active": False}), 409, "conflict")
    assert_problem(admin.delete(path), 409, "conflict")


def test_invalid_users_are_refused(admin: Caller) -> None:
    for body in [
        {}, {"username": ""}, {"username": "a b"}, {"username": "a" * 151}, {"username": "a\0"},
        {"username": "eve", "password": "short"}, {"username": "eve", "is_admin": "yes"},
        {"username": "eve", "groups": [ABSENT]}, {"username": "eve", "groups": ["x"]},
        {"username": "eve", "phone": "12345"},
    ]:  # fmt: skip
        assert_problem(admin.post("/users", body), 422, "invalid")


def test_people_are_for_admins_only(mia: Caller) -> None:
    for path in ["/users", "/groups", f"/users/{mia.user.id}"]:
        assert_problem(mia.get(path), 403, "forbidden")


def test_user_list_is_paged(admin: Caller, mia: Caller, rob: Caller) -> None:
    first = admin.get("/users?limit=2").json()
    second = admin.get(f"/users?limit=2&cursor={first['next_cursor']}").json()
    names = [user["username"] for user in first["items"] + second["items"]]
    assert names == ["ada", "mia", "rob"]
    assert second["next_cursor"] is None
