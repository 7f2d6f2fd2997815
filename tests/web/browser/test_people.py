"""Users and groups in large numbers: pickers by keyboard and mouse, and changes to many at once."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import PASSWORD
from tests.web.browser.test_journey import PHONE, choose

pytestmark = [pytest.mark.browser, pytest.mark.models]
SignIn = Callable[..., Page]


def _create(page: Page, path: str, body: dict[str, object]) -> str:
    if page.url == "about:blank":
        page.goto("/library")
    script = """async ([path, body]) => {
        const token = document.querySelector('meta[name="csrf-token"]').content;
        const headers = { "Content-Type": "application/json", "X-CSRFToken": token };
        const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
        return (await answer.json()).id;
    }"""
    return str(page.evaluate(script, [f"/api/v1{path}", body]))


@pytest.mark.parametrize("viewport", [None, PHONE], ids=["desktop", "phone"])
def test_many_users_are_put_into_a_group_and_disabled(sign_in: SignIn, viewport: object) -> None:
    page = sign_in(**({"viewport": viewport} if viewport else {}))
    word = uuid4().hex[:8]
    names = [f"{word}-{n}" for n in range(3)]
    for name in names:
        _create(page, "/users", {"username": name, "password": PASSWORD})
    group = f"Team {word}"
    _create(page, "/groups", {"name": group})
    page.goto(f"/admin/users?q={word}")
    page.get_by_label("Select all on this page").check()
    expect(page.get_by_text("3 selected")).to_be_visible()
    page.get_by_label(f"Select {names[2]}").uncheck()
    bar = page.locator("[data-bulk]")
    choose(bar, "Group", group)
    page.get_by_role("button", name="Add to group").click()
    dialog = page.get_by_role("dialog", name=f"Add 2 users to “{group}”?")
    dialog.get_by_role("button", name="Add").click()
    expect(page.get_by_role("row", name=names[0])).to_contain_text(group)
    expect(page.get_by_role("row", name=names[2])).not_to_contain_text(group)

    page.get_by_label("Select all on this page").check()
    page.get_by_role("button", name="Disable").click()
    page.get_by_role("dialog", name="Disable 3 users?").get_by_role("button", name="Disable").click()
    expect(page.get_by_role("row", name=names[1])).to_contain_text("Disabled")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_group_members_are_added_by_a_picker_and_removed_together(sign_in: SignIn) -> None:
    page = sign_in()
    word = uuid4().hex[:8]
    group = _create(page, "/groups", {"name": f"Team {word}"})
    for n in range(2):
        _create(page, "/users", {"username": f"{word}-{n}", "password": PASSWORD})
        page.goto(f"/admin/groups/{group}")
        choose(page, "Add a member", f"{word}-{n}")
        expect(page.get_by_role("row", name=f"{word}-{n}")).to_be_visible()
    page.get_by_label("Select all on this page").check()
    page.get_by_role("button", name="Remove from group").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No members yet.")).to_be_visible()


def test_matching_users_are_changed_in_batches(sign_in: SignIn) -> None:
    """More than one page of the list and more than one request."""
    page = sign_in()
    word = uuid4().hex[:8]
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    for n in range(230):
        _create(page, "/users", {"username": f"{word}-{n}"})
    page.goto(f"/admin/users?q={word}")
    page.get_by_role("button", name="Select all 230").click()
    page.get_by_role("button", name="Disable").click()
    page.get_by_role("dialog", name="Disable 230 users?").get_by_role("button", name="Disable").click()
    page.wait_for_load_state()
    expect(page.get_by_role("row", name="Disabled")).to_have_count(50)
    page.goto(f"/admin/users?q={word}&state=active")
    expect(page.get_by_text("No matching users.")).to_be_visible()
    assert len([url for url in requests if url.endswith("/users/batch")]) == 2


def test_picker_is_closed_by_escape_and_chips_are_removed(sign_in: SignIn) -> None:
    page = sign_in()
    word = uuid4().hex[:8]
    _create(page, "/groups", {"name": f"Team {word}"})
    page.goto("/admin/users")
    new = page.get_by_role("region", name="New user")
    field = new.get_by_role("combobox", name="Groups")
    field.fill(word)
    option = new.get_by_role("option", name=f"Team {word}")
    expect(option).to_be_visible()
    expect(field).to_have_attribute("aria-expanded", "true")
    field.press("Escape")
    expect(option).to_be_hidden()
    expect(field).to_have_value("")
    field.fill(word)
    option.click()
    expect(field).to_have_attribute("aria-expanded", "false")
    new.get_by_role("button", name=f"Remove Team {word}").click()
    expect(new.locator(".chip")).to_have_count(0)
    expect(field).to_be_focused()


def test_invited_user_sets_a_password_and_signs_in(sign_in: SignIn, open_page: Callable[..., Page]) -> None:
    page = sign_in()
    name = f"user-{uuid4().hex[:8]}"
    page.goto("/admin/users")
    new = page.get_by_role("region", name="New user")
    new.get_by_label("User name").fill(name)
    new.get_by_role("button", name="Create user").click()
    page.get_by_role("button", name="Create link").click()
    link = page.locator(".secret code")
    expect(link).to_contain_text("/set-password#")
    theirs = open_page()
    theirs.goto(link.inner_text())
    theirs.get_by_label("New password").fill(PASSWORD)
    theirs.get_by_label("Repeat the password").fill("something else")
    assert "#" not in theirs.url
    theirs.get_by_role("button", name="Set password").click()
    expect(theirs.get_by_text("The two passwords differ.")).to_be_visible()
    theirs.get_by_label("New password").fill(PASSWORD)
    theirs.get_by_label("Repeat the password").fill(PASSWORD)
    theirs.get_by_role("button", name="Set password").click()
    expect(theirs.get_by_text(f"Password set. Sign in as {name}.")).to_be_visible()
    theirs.get_by_label("User name").fill(name)
    theirs.get_by_label("Password").fill(PASSWORD)
    theirs.get_by_role("button", name="Sign in", exact=True).click()
    expect(theirs.get_by_role("button", name=name)).to_be_visible()
