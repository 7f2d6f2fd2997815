"""Redmine: what a real one shows its users equals what Cairn takes from it."""

import random
from collections.abc import Callable, Iterator

import pytest

from ingestion.sources import web_server
from ingestion.sources.kinds.redmine import api
from ingestion.sources.kinds.redmine.options import RedmineOptions
from ingestion.sources.kinds.redmine.permissions import ALL_ISSUES, OWN, Members, Permissions, UnclearRole
from ingestion.sources.kinds.redmine.source import RedmineSource, connect
from ingestion.sources.protocol import Item, ItemUnavailable, SourceRefused, SourceUnavailable, first_problem
from tests.backends import free_port
from tests.ingestion.sources.access_by_source import FollowingBase, list_items
from tests.ingestion.sources.odd_server import Behaviour, Endless, Fixed, OddServer, Redirect
from tests.ingestion.sources.redmine_server import ADMIN, PEOPLE, RedmineServer, options

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def redmine() -> Iterator[RedmineServer]:
    server = RedmineServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def following(db: None) -> FollowingBase:
    base = FollowingBase()
    base.add_people([ADMIN, *PEOPLE, ""])
    return base


def assert_equal(server: RedmineServer, following: FollowingBase) -> dict[str, set[str]]:
    with connect(options(server)) as source:
        following.follow(source)
    locked = {login for login, status in server.execute("select login, status from users") if status == 3}
    found = {login: following.list_shown(login) for login in (ADMIN, *PEOPLE, "")}
    for login in {ADMIN, *PEOPLE} - locked:
        assert found[login] == server.list_shown(login), login
    for login in {"", *locked}:
        assert found[login] == set()
    return found


def change(server: RedmineServer, dice: random.Random) -> None:
    """Change an issue, a membership, a group, a user, a project or a role."""
    kind = dice.choices(list(CHANGES), [8, 6, 3, 2, 4, 3])[0]
    CHANGES[kind](server, dice)


def change_issue(server: RedmineServer, dice: random.Random) -> None:
    people = [number for (number,) in server.execute("select id from users where status = 1 and id > 4")]
    server.execute(
        "update issues set is_private = ?, assigned_to_id = ?, author_id = ?, tracker_id = ? where id = ?",
        dice.randrange(2),
        dice.choice([None, *people]),
        dice.choice(people),
        dice.randrange(1, 4),
        dice.choice(server.execute("select id from issues"))[0],
    )


def change_member(server: RedmineServer, dice: random.Random) -> None:
    rows = server.execute(
        "select m.id from members m join projects p on p.id = m.project_id where p.status = 1 and p.id < 9 "
        "and not exists "
        "(select 1 from member_roles r where r.member_id = m.id and r.inherited_from is not null)"
    )
    if dice.randrange(3) and rows:
        server.send("DELETE", f"memberships/{dice.choice(rows)[0]}.json")
        return
    project = dice.choice(server.execute("select id from projects where status = 1 and id < 9"))[0]
    free = server.execute(
        "select id from users where status in (0, 1) and type in ('User', 'Group', 'GroupNonMember') "
        "and login <> 'admin' and id not in (select user_id from members where project_id = ?)",
        project,
    )
    roles = dice.sample(range(3, 9), dice.randrange(1, 3))
    if free:
        body = {"membership": {"user_id": dice.choice(free)[0], "role_ids": roles}}
        server.send("POST", f"projects/{project}/memberships.json", body)


def change_group(server: RedmineServer, dice: random.Random) -> None:
    group = dice.choice(server.execute("select id from users where type = 'Group'"))[0]
    users = {number for (number,) in server.execute("select id from users where type = 'User' and admin = 0")}
    inside = {row[0] for row in server.execute("select user_id from groups_users where group_id = ?", group)}
    user = dice.choice(sorted(users))
    if user in inside:
        server.send("DELETE", f"groups/{group}/users/{user}.json")
    else:
        server.send("POST", f"groups/{group}/users.json", {"user_id": user})


def change_user(server: RedmineServer, dice: random.Random) -> None:
    user = dice.choice(
        server.execute("select id from users where type = 'User' and login in ('di', 'eve', 'hal')")
    )[0]
    state = dice.choice([{"status": 3}, {"status": 1}, {"admin": True}, {"admin": False}])
    server.send("PUT", f"users/{user}.json", {"user": state})


def change_project(server: RedmineServer, dice: random.Random) -> None:
    project = dice.randrange(1, 8)
    act = dice.choice(["public", "modules", "close", "reopen"])
    if act in {"close", "reopen"}:
        server.send("PUT", f"projects/{project}/{act}.json")
    elif server.execute("select status from projects where id = ?", project) == [(1,)]:
        modules = dice.sample(["issue_tracking", "wiki", "files"], dice.randrange(1, 4))
        body = {"is_public": dice.random() < 0.5} if act == "public" else {"enabled_module_names": modules}
        server.send("PUT", f"projects/{project}.json", {"project": body})


def change_role(server: RedmineServer, dice: random.Random) -> None:
    visibility = dice.choice(["own", "default", "all"])
    server.execute("update roles set issues_visibility = ? where id = ?", visibility, dice.choice([1, 4, 5]))


CHANGES: dict[str, Callable[[RedmineServer, random.Random], None]] = {
    "issue": change_issue,
    "member": change_member,
    "group": change_group,
    "user": change_user,
    "project": change_project,
    "role": change_role,
}


def test_redmine_access_stays_equal_after_random_changes(
    redmine: RedmineServer, following: FollowingBase
) -> None:
    assert len(set(map(frozenset, assert_equal(redmine, following).values()))) > 8
    dice = random.Random(24)
    for _change in range(50):
        change(redmine, dice)
    found = assert_equal(redmine, following)
    assert len(found[ADMIN]) > 60
    for _sample in range(30):
        login, item = dice.choice(PEOPLE[:3]), dice.choice(sorted(found[ADMIN]))
        assert redmine.is_shown(login, item) == (item in found[login]), (login, item)


@pytest.mark.django_db(transaction=True)
def test_documents_follow_redmine(redmine: RedmineServer, following: FollowingBase) -> None:
    """From the listing to who may read, by the syncs of content, people and access."""
    following.sync("redmine", {"url": redmine.url, "api_key": redmine.keys[ADMIN]})
    shown = {login: redmine.list_shown(login) for login in ("ada", "bo", "gus", "una")}
    assert {login: following.list_synced(login) for login in shown} == shown
    following.require_canary(shown)


def read(source: RedmineSource, item: Item) -> str:
    with source.open(item) as content:
        return content.read().decode()


def find_items(source: RedmineSource, *kinds: str) -> list[Item]:
    return [item for item in list_items(source) if item.id.startswith(kinds)]


def test_issue_includes_public_notes_only(redmine: RedmineServer) -> None:
    with connect(options(redmine, notes=True, projects="p8")) as source:
        items = list_items(source)
        issue = next(item for item in items if item.id.startswith("issue:"))
        text = read(source, issue)
        assert text.startswith(f"# Issue 0 of Project 8 (#{issue.id[6:]})\n\n")
        assert "Größe *0*\n\n## Ada Q\n\nNote in public 0\n" in text
        assert "secret" not in text
        page = next(item for item in items if item.id.startswith("wiki:"))
        assert read(source, page) == "# Page 0\n\nText of Project 8"
        assert (page.title, page.container) == ("Page 0 größe", "p8/wiki")
        files = [read(source, item) for item in items if item.id.startswith("file:")]
    assert sorted(files) == [
        "Content of file of p8.txt of Project",
        "Content of issue 1.txt of Issue",
        "Content of wiki 0.txt of WikiPage",
    ]
    assert {item.container.partition("/")[0] for item in items} == {"p8"}


def test_textile_issue_excludes_files_and_notes(redmine: RedmineServer) -> None:
    with connect(options(redmine, files=False, projects="p8", formatting="textile")) as source:
        items = list_items(source)
        assert {item.id.partition(":")[0] for item in items} == {"issue", "wiki"}
        text = read(source, items[0])
        assert items[0].name.endswith(".textile")
    assert text.startswith("h1. Issue 0 of Project 8")
    assert "Note" not in text


def test_issue_changed_between_listing_and_reading_is_rejected(redmine: RedmineServer) -> None:
    with connect(options(redmine, projects="p8")) as source:
        first, second, *_others = find_items(source, "issue:")
        redmine.send("PUT", f"issues/{first.id[6:]}.json", {"issue": {"subject": "Other"}})
        redmine.send("DELETE", f"issues/{second.id[6:]}.json")
        for item, code in ((first, "source_item_changed"), (second, "source_item_gone")):
            with pytest.raises(ItemUnavailable) as refused:
                read(source, item)
            assert refused.value.message.code == code  # type: ignore[attr-defined]
        assert second.id not in dict(source.list_access([first, second]))


def test_deletion_during_a_listing_is_noticed(
    redmine: RedmineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "PAGE_LENGTH", 3)
    with connect(options(redmine, projects="p8", files=False)) as source:
        changes = source.list_changes("")
        listed = [change for change in (next(changes) for _each in range(4)) if isinstance(change, Item)]
        redmine.send("DELETE", f"{listed[0].id.replace(':', 's/')}.json")
        with pytest.raises(SourceUnavailable, match="changed while Cairn was reading"):
            list(changes)


def test_account_losing_its_rights_during_a_listing_deletes_nothing(redmine: RedmineServer) -> None:
    with connect(options(redmine, projects="p8")) as source:
        changes = source.list_changes("")
        next(change for change in changes if isinstance(change, Item) and change.container == "p8/files")
        redmine.execute("update users set admin = 0 where login = 'admin'")
        try:
            with pytest.raises(SourceRefused, match="isn’t that of an administrator"):
                list(changes)
        finally:
            redmine.execute("update users set admin = 1 where login = 'admin'")


def test_wrong_keys_are_refused(redmine: RedmineServer) -> None:
    for key, problem in (
        ("wrong", "refuses this user name"),
        (redmine.keys["ada"], "isn’t that of an admin"),
    ):
        with connect(options(redmine, api_key=key)) as source:
            assert problem in first_problem(source.check())
            for listing in (source.list_changes(""), source.list_people()):
                with pytest.raises(SourceRefused):
                    list(listing)


def test_connection_test_succeeds(redmine: RedmineServer) -> None:
    with connect(options(redmine)) as source:
        steps = list(source.check())
    assert [step.problem for step in steps] == [""] * 4
    assert "isn’t encrypted" in steps[0].warning


def test_unreachable_redmine_is_reported() -> None:
    given = {"url": f"http://127.0.0.1:{free_port()}/", "api_key": "a"}
    with connect(RedmineOptions.model_validate(given)) as source:
        assert "Can’t connect" in first_problem(source.check())


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Redirect("http://elsewhere.example/"), "redirects to http://elsewhere.example/"),
        (Endless(), "doesn’t end"),
        (Fixed(b"<html>"), "can’t read"),
        (Fixed(b"{}", status=503), "overloaded"),
    ],
)
def test_invalid_responses_are_reported(
    answer: Behaviour, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "MAX_BYTES", 300_000)
    with (
        OddServer(answer) as server,
        connect(RedmineOptions.model_validate({"url": server.url, "api_key": "a"})) as source,
    ):
        assert problem in first_problem(source.check())
        with pytest.raises((SourceUnavailable, SourceRefused)):
            list(source.list_people())


def test_role_limited_to_trackers_leaves_issues_to_managers() -> None:
    project = api.Project(
        id=1,
        name="P",
        identifier="p",
        enabled_modules=[api.Ref(id=1, name="issue_tracking")],
        trackers=[api.Ref(id=1), api.Ref(id=2)],
    )
    roles = {
        1: api.Role(id=1, issues_visibility="all", permissions=["view_issues"]),
        2: api.Role(id=2, issues_visibility="own", permissions=["view_issues"]),
    }
    both, alone = frozenset({1, 2}), frozenset({1})
    seen = {(1, both): frozenset({1, 2})}
    unclear = Permissions(roles, {1: Members(project, {both: frozenset({7})})}, seen)
    with pytest.raises(UnclearRole):
        unclear.find_viewers(1, 2, ALL_ISSUES)
    users = {both: frozenset({7}), alone: frozenset({8})}
    limited = Permissions(roles, {1: Members(project, users)}, seen | {(1, alone): frozenset({1})})
    assert limited.find_viewers(1, 1, ALL_ISSUES) == {7, 8}
    assert limited.find_viewers(1, 2, OWN) == {7}
    assert limited.find_viewers(1, 2, ALL_ISSUES) == set()
