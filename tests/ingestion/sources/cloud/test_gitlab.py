"""GitLab: what the model of a server shows its people equals what Cairn takes from it."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product

import pytest
from pydantic import ValidationError
from werkzeug.wrappers import Request, Response

from cairn.library.models import DocumentVersion
from ingestion.sources import daily_listing, json_api
from ingestion.sources.kinds.gitlab.options import GitLabOptions
from ingestion.sources.kinds.gitlab.source import connect
from ingestion.sources.protocol import (
    Complete,
    Item,
    ItemUnavailable,
    SourceGroup,
    SourcePerson,
    SourceRefused,
    SourceUnavailable,
    Unlisted,
    first_problem,
)
from tests.ingestion.sources.access_by_source import (
    FollowingBase,
    email_of,
    find_shown,
    follow_changes,
    list_items,
    read_item,
    require_broken_listing,
)
from tests.ingestion.sources.cloud.api_server import FaultsAt, FixedAnswer
from tests.ingestion.sources.cloud.gitlab_server import (
    NOW,
    PEOPLE,
    ROLES,
    TOKEN,
    GitLabServer,
    Issue,
    Note,
    change,
    fill,
    options,
    time_of,
)


@pytest.fixture
def gitlab(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitLabServer]:
    set_now(monkeypatch, NOW)
    with GitLabServer() as server:
        fill(server)
        yield server


def set_now(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    monkeypatch.setattr(daily_listing, "current_time", lambda: now)


def find_unknown(server: GitLabServer, **given: str) -> dict[str, str]:
    """Return why the access of items isn't known, by the id of the item."""
    with connect(options(server, **given)) as source:
        accesses = dict(source.list_access(list_items(source)))
    return {item: access.unknown for item, access in accesses.items() if access.unknown}


def ids_by_person(server: GitLabServer) -> dict[str, str]:
    return {name: f"user:{server.person(name)['id']}" for name in PEOPLE}


def test_people_see_what_gitlab_shows_them_also_after_changes(gitlab: GitLabServer) -> None:
    dice, seen = random.Random(3), set[frozenset[str]]()
    for _round in range(8):
        with connect(options(gitlab)) as source:
            shown = find_shown(source)
        for person, identity in ids_by_person(gitlab).items():
            expected = gitlab.list_shown(person) if gitlab.users[person] == "active" else set()
            assert shown.get(identity, set()) == expected, person
            seen.add(frozenset(expected))
        for _change in range(6):
            change(gitlab, dice)
    assert len(seen) > 12


ROLE_TABLE = {
    # role: issues of a private project, those of an internal one, confidential issues, the wiki
    "": (False, True, False, False),
    "minimal": (False, True, False, False),
    "guest": (True, True, False, True),
    "planner": (True, True, True, True),
    "reporter": (True, True, True, True),
    "security": (True, True, False, True),
    "owner": (True, True, True, True),
}


@pytest.mark.parametrize("role", ROLE_TABLE)
def test_table_of_roles(gitlab: GitLabServer, role: str) -> None:
    """Compare with a table that is written by hand, for somebody who wrote none of the issues."""
    for project in gitlab.projects.values():
        project.members = {"bo": role} if role else {}
    with connect(options(gitlab)) as source:
        shown = find_shown(source).get("user:2", set())
    private, internal, confidential, wiki = ROLE_TABLE[role]
    assert ("issue:1:1" in shown, "issue:3:1" in shown, "issue:5:1" in shown) == (private, internal, True)
    assert ("issue:4:1" in shown, "issue:6:1" in shown) == (private, private)
    assert {f"issue:{each}:2" in shown for each in range(1, 7)} == {confidential}
    assert ("wiki:1:home" in shown, "wiki:5:home" in shown) == (wiki, wiki)
    assert "wiki:6:home" in shown


def test_every_role_of_the_model_is_in_the_table() -> None:
    assert set(ROLE_TABLE) == {"", *ROLES}


def test_authors_and_assignees_see_confidential_issues_only_if_they_see_the_project(
    gitlab: GitLabServer,
) -> None:
    with connect(options(gitlab)) as source:
        shown = find_shown(source)
    assert {"issue:1:2", "issue:1:4"} <= shown["user:3"]
    assert "issue:1:3" not in shown["user:3"]
    assert {"issue:3:3", "issue:5:3"} <= shown["user:7"]
    assert "issue:1:3" not in shown["user:7"]
    assert "issue:5:4" in shown["user:6"]
    assert "issue:3:4" not in shown["user:6"]


@pytest.mark.django_db(transaction=True)
def test_documents_follow_gitlab(gitlab: GitLabServer, following: FollowingBase) -> None:
    """Compare after the syncs of content, people and access. Who joins or leaves processes nothing again."""
    for number in (2, 4, 5, 6):
        del gitlab.projects[number]
    for project in gitlab.projects.values():
        del project.issues[3], project.issues[4], project.pages["home"]
    given = options(gitlab).model_dump() | {"token": TOKEN}

    def compare() -> None:
        following.sync("gitlab", given)
        following.require_synced(PEOPLE, gitlab.list_shown)
        assert following.list_synced("") == set()

    compare()
    before = set(DocumentVersion.objects.values_list("pk", flat=True))
    gitlab.projects[1].members |= {"cy": "reporter", "di": "guest"}
    gitlab.projects[1].members.pop("bo")
    gitlab.projects[3].visibility = "private"
    gitlab.users["eve"] = "blocked"
    gitlab.projects[1].issues[1].confidential = True
    compare()
    assert set(DocumentVersion.objects.values_list("pk", flat=True)) == before
    following.require_canary({person: gitlab.list_shown(person) for person in PEOPLE})


def test_expired_and_pending_members_read_nothing(gitlab: GitLabServer) -> None:
    gitlab.projects[1].expired = {"bo"}
    rows = [
        {**gitlab.person("cy"), "access_level": 50, "membership_state": "awaiting"},
        {**gitlab.person("eve"), "access_level": 50, "state": "blocked"},
        {**gitlab.person("fay"), "access_level": 50, "state": None},
        {**gitlab.person("gil"), "access_level": 50, "expires_at": "2026-11-20T00:00:00Z"},
    ]
    with connect(options(gitlab)) as source:
        assert not any(":1:" in item for item in find_shown(source)["user:2"])
    answer = FixedAnswer("projects/1/members/all", rows)
    gitlab.fault = answer
    with connect(options(gitlab)) as source:
        shown = find_shown(source)
    assert answer.given
    assert not any(":1:" in item for items in shown.values() for item in items)


def test_unknown_access_leaves_documents_to_managers(gitlab: GitLabServer) -> None:
    """What isn't fully known is for managers, with the reason, and other projects are as they were."""
    for number in range(3, 7):
        del gitlab.projects[number]
    with connect(options(gitlab)) as source:
        before = find_shown(source)
    project, path = gitlab.projects[1], "projects/1/members/all"
    member = {**gitlab.person("bo"), "access_level": 50}
    for fault, reason in (
        (FaultsAt(path, 403), "HTTP 403"),
        (FaultsAt(path, 404), "HTTP 404"),
        (FixedAnswer(path, [member], X_Total="2"), "doesn’t list all members"),
        (FixedAnswer(path, [{**member, "access_level": 17}]), "has a role that Cairn doesn’t know (17)"),
    ):
        gitlab.fault = fault
        with connect(options(gitlab)) as source:
            accesses = dict(source.list_access(list_items(source)))
            groups = {each.id for each in source.list_people() if isinstance(each, SourceGroup)}
        unknown = {item for item, access in accesses.items() if access.unknown}
        assert unknown == {item for item in accesses if item.split(":")[1] == "1"}
        assert all(reason in accesses[item].unknown for item in unknown)
        assert {"members:1", "members:2"} & groups == {"members:2"}
    gitlab.fault = lambda _request: None
    for more, reason in (
        ({"external_authorization_classification_label": "secret"}, "An external service decides"),
        ({"owner": {"id": 1, "state": "banned"}}, "banned"),
        ({"shared_with_groups": [{"group_id": 1, "expires_at": "2026-11-20"}]}, "share has just expired"),
        ({"visibility": "secret"}, "doesn’t understand"),
        ({"visibility": None}, "doesn’t understand"),
        ({"issues_access_level": None, "wiki_access_level": "someone"}, "doesn’t understand"),
    ):
        project.more = more
        found = find_unknown(gitlab)
        assert found
        assert {item.split(":")[1] for item in found} == {"1"}
        assert all(reason in text for text in found.values())
    project.more = {"shared_with_groups": [{"group_id": 1, "expires_at": "2026-11-21"}]}
    with connect(options(gitlab)) as source:
        assert find_shown(source) == before


def test_internal_projects_need_the_list_of_all_users(gitlab: GitLabServer) -> None:
    gitlab.is_admin = False
    unknown = find_unknown(gitlab)
    assert {item.split(":")[1] for item in unknown} == {"3", "4"}
    assert {item.split(":")[0] for item in unknown if item.split(":")[1] == "4"} == {"wiki"}
    assert all("token of an administrator" in text for text in unknown.values())
    with connect(options(gitlab)) as source:
        people = {each.id: each for each in source.list_people()}
    assert "users" not in people
    assert isinstance(people["user:2"], SourcePerson)
    assert people["user:2"].email == ""
    assert "user:7" not in people


def test_administrators_without_the_rights_of_one_list_no_users(gitlab: GitLabServer) -> None:
    """In GitLab's admin mode, a token of an administrator may get what others get."""
    gitlab.fault = FixedAnswer("/users", [gitlab.person("ada")])
    assert {item.split(":")[1] for item in find_unknown(gitlab)} == {"3", "4"}


def test_public_projects_are_open_only_if_visitors_see_them(gitlab: GitLabServer) -> None:
    with connect(options(gitlab)) as source:
        accesses = dict(source.list_access(list_items(source)))
        assert accesses["issue:5:1"].allows(None)
        assert not accesses["issue:5:2"].allows(None)
        assert not accesses["issue:3:1"].allows(None)
    gitlab.answers_visitors = False
    with connect(options(gitlab)) as source:
        items = list_items(source)
        accesses = dict(source.list_access(items))
        assert not accesses["issue:5:1"].allows(None)
        assert accesses["issue:5:1"].allows(["users"])
    gitlab.answers_visitors, gitlab.is_admin = True, False
    other = {"id": 99, "path_with_namespace": "acme/other", "visibility": "public"}
    for answer in (
        Response("<html>Sign in</html>"),
        Response(GitLabServer.dump(other)),
        Response(GitLabServer.dump({**other, "id": 5}), 403),
        Response(status=302, headers={"Location": "/users/sign_in"}),
    ):
        gitlab.fault = lambda request, answer=answer: (  # type: ignore[misc]
            None if "PRIVATE-TOKEN" in request.headers else answer
        )
        assert {item.split(":")[1] for item in find_unknown(gitlab)} >= {"3", "4", "5"}


def test_people_are_linked_by_confirmed_addresses(gitlab: GitLabServer) -> None:
    with connect(options(gitlab)) as source:
        people = {each.id: each for each in source.list_people() if isinstance(each, SourcePerson)}
    assert people["user:1"] == SourcePerson("user:1", "Ada", email_of("ada"))
    row = {**gitlab.person("ada"), "external": False, "email": "victim@example.org", "confirmed_at": None}
    bot = {**gitlab.person("bo"), "external": False, "bot": True}
    gitlab.fault = FixedAnswer("/users", [row, bot])
    with connect(options(gitlab)) as source:
        people = {each.id: each for each in source.list_people() if isinstance(each, SourcePerson)}
    assert people == {"user:1": SourcePerson("user:1", "Ada")}
    gitlab.is_admin, gitlab.fault = False, lambda _request: None
    rows = [{**gitlab.person("ada"), "access_level": 10, "public_email": "ada@example.org"}]
    gitlab.fault = FixedAnswer("/members/all", rows)
    with connect(options(gitlab)) as source:
        people = {each.id: each for each in source.list_people() if isinstance(each, SourcePerson)}
    assert people["user:1"].email == "ada@example.org"


def test_issues_of_banned_people_are_for_managers(gitlab: GitLabServer) -> None:
    gitlab.users["gil"] = "banned"
    assert find_unknown(gitlab).keys() == {f"issue:{each}:3" for each in range(1, 7)}


def test_missing_confidentiality_counts_as_confidential(gitlab: GitLabServer) -> None:
    gitlab.projects[5].issues[1].more = {"confidential": None}
    with connect(options(gitlab)) as source:
        accesses = dict(source.list_access(list_items(source)))
    assert not accesses["issue:5:1"].allows(None)


def test_content_of_issues(gitlab: GitLabServer) -> None:
    project = gitlab.projects[1]
    issue = project.issues[1]
    issue.title, issue.description, issue.assignees = "Pump\n# leaks", "Use `valve`\r\nnow", ("bo", "cy")
    issue.notes += [Note("From a banned one", "gil"), *(Note(f"Comment {each}") for each in range(4))]
    gitlab.users["gil"] = "banned"
    with connect(options(gitlab)) as source:
        [item] = [each for each in list_items(source) if each.id == "issue:1:1"]
        text = read_item(source, item).decode()
    assert (item.container, item.name, item.modified) == (project.path, "1.md", time_of(2))
    assert item.uri == f"{gitlab.origin}acme/private-enabled/-/issues/1"
    facts = "Author: Ada, Assignees: Bo, Cy, Labels: bug, later, Created: 2026-11-01, Due: 2026-12-01"
    assert text.startswith(f"# Pump # leaks\n\nIssue #1, State: opened, {facts}\n\nUse `valve`\nnow\n\n")
    assert "## Bo, 2026-11-03\n\nSeen it too\n" in text
    assert text.index("Comment 0") < text.index("Comment 3")
    for absent in ("For us only", "changed the title", "From a banned one"):
        assert absent not in text
    with connect(options(gitlab, comments=False)) as source:
        [item] = [each for each in list_items(source) if each.id == "issue:1:1"]
        assert "Seen it too" not in read_item(source, item).decode()


@pytest.mark.parametrize(
    "marks", [{}, {"internal": None, "confidential": None}, {"internal": True}, {"confidential": True}]
)
def test_notes_that_may_be_internal_are_left_out(gitlab: GitLabServer, marks: dict[str, object]) -> None:
    row = {"body": "For us only", "created_at": "2026-11-02T10:00:00Z", "system": False}
    open_row = {**row, "body": "For all", "internal": False}
    gitlab.fault = FixedAnswer("/notes", [{**row, **marks}, open_row])
    with connect(options(gitlab)) as source:
        [item] = [each for each in list_items(source) if each.id == "issue:1:1"]
        text = read_item(source, item).decode()
    assert "For us only" not in text
    assert "For all" in text


def test_content_of_wiki_pages(gitlab: GitLabServer) -> None:
    long = "x/" * 260 + "end"
    gitlab.projects[1].pages |= {"_sidebar": "Menu", long: "Deep", "a b?%/c": "Odd"}
    with connect(options(gitlab, projects="acme/private-enabled")) as source:
        items = {each.id: each for each in list_items(source)}
        assert not any("_sidebar" in each for each in items)
        page = items["wiki:1:ops/restart"]
        assert (page.name, page.title) == ("restart.md", "acme/private-enabled restart")
        assert page.uri == f"{gitlab.origin}acme/private-enabled/-/wikis/ops/restart"
        assert read_item(source, page) == b"Pull the plug"
        assert read_item(source, items["wiki:1:a b?%/c"]) == b"Odd"
        [deep] = [each for each in items.values() if len(each.id) == 500]
        assert read_item(source, deep) == b"Deep"
        assert deep.id in dict(source.list_access([deep]))
    with connect(options(gitlab, wiki=False)) as source:
        assert not any(each.id.startswith("wiki") for each in list_items(source))


def test_changed_and_deleted_items_are_not_read(gitlab: GitLabServer) -> None:
    project = gitlab.projects[1]
    with connect(options(gitlab, projects="acme/private-enabled")) as source:
        items = {each.id: each for each in list_items(source)}
        project.issues[1].updated = time_of(5)
        project.issues[2].notes.append(Note("Within a minute"))
        del project.issues[3], project.pages["home"]
        project.pages["ops/restart"] = "Push the button"
        for item in ("issue:1:1", "issue:1:2", "issue:1:3", "wiki:1:home", "wiki:1:ops/restart"):
            with pytest.raises(ItemUnavailable):
                read_item(source, items[item])
        assert b"Broken 3" in read_item(source, items["issue:1:4"])
        left = {item for item, _access in source.list_access(list(items.values()))}
    assert left == {"issue:1:1", "issue:1:2", "issue:1:4", "wiki:1:ops/restart"}


def test_later_syncs_list_changes_and_full_ones_what_is_gone(
    gitlab: GitLabServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = gitlab.projects[1]
    with connect(options(gitlab, projects="acme/private-enabled")) as source:
        first, known = follow_changes(source, set(), "")
        assert first.full
        versions = {each.id: each.version for each in list_items(source)}
        set_now(monkeypatch, NOW + timedelta(hours=1))
        project.issues[2].updated = NOW + timedelta(minutes=30)
        del project.issues[4]
        project.issues[9] = Issue(9, created=NOW, updated=NOW)
        changes = list(source.list_changes(first.cursor))
        changed = {each.id: each.version for each in changes if isinstance(each, Item)}
        assert {item for item in changed if "issue" in item} == {"issue:1:2", "issue:1:9"}
        assert changed["issue:1:2"] != versions["issue:1:2"]
        second = changes[-1]
        assert isinstance(second, Complete)
        assert not second.full
        known |= set(changed)
        assert "issue:1:4" in known
        set_now(monkeypatch, NOW + timedelta(hours=25))
        third, left = follow_changes(source, known, second.cursor)
    assert third.full
    assert left == {"issue:1:1", "issue:1:2", "issue:1:3", "issue:1:9", "wiki:1:home", "wiki:1:ops/restart"}


def test_issues_that_changed_just_now_are_read_again(
    gitlab: GitLabServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GitLab doesn't note a second change within a minute, such as an edited comment."""
    gitlab.projects[1].issues[1].updated = NOW - timedelta(minutes=1)
    with connect(options(gitlab, projects="acme/private-enabled")) as source:
        before = {each.id: each for each in list_items(source)}
        assert b"Broken 0" in read_item(source, before["issue:1:1"])
        set_now(monkeypatch, NOW + timedelta(hours=1))
        after = {each.id: each.version for each in list_items(source)}
    assert {item for item in after if after[item] != before[item].version} == {"issue:1:1"}


def test_issues_deleted_during_a_listing_hide_no_others(gitlab: GitLabServer) -> None:
    """The pages of GitLab shift then: the issue that comes first on the next page would be missing."""
    project = gitlab.projects[1]
    for number in range(5, 30):
        project.issues[number] = Issue(number, created=time_of(3, number // 8))

    def shift(_request: Request) -> None:
        if sum("/issues" in path for path in gitlab.paths) > 1:
            project.issues.pop(1, None)

    gitlab.fault = shift
    with connect(options(gitlab, projects="acme/private-enabled")) as source:
        found = [each.id for each in list_items(source) if each.id.startswith("issue")]
    assert found == [f"issue:1:{number}" for number in range(1, 30)]


def test_chosen_projects_are_listed_and_missing_ones_preserved(gitlab: GitLabServer) -> None:
    chosen = "acme/private-enabled, /acme/public-enabled/, acme/gone, ACME/public-private"
    with connect(options(gitlab, projects=chosen)) as source:
        changes = list(source.list_changes(""))
    assert {each.container for each in changes if isinstance(each, Item)} == {
        "acme/private-enabled",
        "acme/public-enabled",
    }
    missing = {each.container: each.reason for each in changes if isinstance(each, Unlisted)}
    assert set(missing) == {"acme/gone", "ACME/public-private"}
    assert "no project “acme/gone”" in missing["acme/gone"]
    moved = Response(status=301, headers={"Location": "/api/v4/projects/1"})
    gitlab.fault = lambda request: moved if "enabled" in request.path else None
    with connect(options(gitlab, projects="acme/private-enabled")) as source:
        assert [each.container for each in source.list_changes("") if isinstance(each, Unlisted)] == [
            "acme/private-enabled"
        ]


@pytest.mark.parametrize("kind", ["issues", "wikis"])
def test_documents_of_a_project_that_refuses_are_preserved(gitlab: GitLabServer, kind: str) -> None:
    gitlab.fault = FaultsAt(f"projects/2/{kind}", 403)
    with connect(options(gitlab)) as source:
        changes = list(source.list_changes(""))
    assert isinstance(changes[-1], Complete)
    assert {each.container for each in changes if isinstance(each, Unlisted)} == {"acme/private-private"}


def test_what_is_turned_off_is_not_taken(gitlab: GitLabServer) -> None:
    with connect(options(gitlab)) as source:
        items = list_items(source)
        gitlab.projects[1].issues_level = gitlab.projects[2].wiki_level = "disabled"
        gitlab.projects[3].is_visible = False
        left, known = (
            {each.id for each in list_items(source)},
            {item for item, _ in source.list_access(items)},
        )
    gone = {each.id for each in items} - left
    assert {tuple(each.split(":")[:2]) for each in gone} == {
        ("issue", "1"),
        ("wiki", "2"),
        ("issue", "3"),
        ("wiki", "3"),
    }
    assert known == left


@pytest.mark.parametrize(
    ("path", "status"), list(product(("issues?", "wikis", "projects?"), (500, 503, 401)))
)
def test_a_listing_that_breaks_off_deletes_nothing(gitlab: GitLabServer, path: str, status: int) -> None:
    gitlab.fault = FaultsAt(path, status, after=1, wait="600")
    with connect(options(gitlab)) as source:
        require_broken_listing(source)


def test_a_token_revoked_during_a_listing_deletes_nothing(gitlab: GitLabServer) -> None:
    with connect(options(gitlab)) as source:
        changes = source.list_changes("")
        found = [next(changes) for _change in range(3)]
        gitlab.token["active"] = False
        with pytest.raises(SourceRefused):
            found.extend(changes)
    assert not any(isinstance(each, Complete) for each in found)


ISSUE = {"iid": 1, "created_at": "2026-11-02T10:00:00Z", "updated_at": "2026-11-02T10:00:00Z"}


@pytest.mark.parametrize(
    "rows",
    [
        "{}",
        "[",
        "[{}]",
        [ISSUE],
        [
            {**ISSUE, "user_notes_count": 0},
            {**ISSUE, "user_notes_count": 0, "created_at": "2026-11-01T10:00:00Z"},
        ],
    ],
)
def test_answers_that_make_no_sense_are_not_the_end_of_a_list(gitlab: GitLabServer, rows: object) -> None:
    text = rows if isinstance(rows, str) else GitLabServer.dump(rows)
    gitlab.fault = lambda request: Response(text) if request.path.endswith("/issues") else None
    with connect(options(gitlab)) as source:
        require_broken_listing(source)


@pytest.mark.parametrize("path", ["/projects", "/projects/1/issues", "/projects/1/wikis"])
def test_lists_that_never_end_are_an_error(
    gitlab: GitLabServer, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    for module in (daily_listing, json_api):
        monkeypatch.setattr(module, "MAX_PAGES", 20)
    pages = iter(range(1, 1000))

    def repeat(request: Request) -> Response | None:
        if not request.path.endswith(path):
            return None
        rows: list[object] = [gitlab.show_project(gitlab.projects[1])]
        if path.endswith("issues"):
            rows = [gitlab.show_issue(gitlab.projects[1].issues[1])]
        if path.endswith("wikis"):
            rows = [{"slug": "home", "title": "home"}]
        return Response(GitLabServer.dump(rows), headers={"Link": f'<x?page={next(pages)}>; rel="next"'})

    gitlab.fault = repeat
    with connect(options(gitlab)) as source:
        require_broken_listing(source)
    assert next(pages) == 21


@pytest.mark.parametrize("rows", ["[]", '[{"id": 1, "access_level": 10}]'])
def test_links_that_lead_nowhere_are_an_error(gitlab: GitLabServer, rows: str) -> None:
    link = {"Link": '<https://wrong.example/?per_page=100>; rel="next"'}
    gitlab.fault = lambda request: Response(rows, headers=link) if "members" in request.path else None
    with connect(options(gitlab)) as source, pytest.raises(SourceUnavailable):
        list(source.list_people())


def test_the_token_is_sent_only_to_the_server(gitlab: GitLabServer) -> None:
    with GitLabServer() as other:
        fill(other)
        target = {"Location": f"{other.origin}api/v4/projects/1/issues"}
        link = {"Link": f'<{other.origin}api/v4/projects?page=2>; rel="next"'}
        gitlab.fault = lambda request: (
            Response(status=302, headers=target)
            if request.path.endswith("/issues")
            else Response("[{}]" if "page" in request.args else GitLabServer.dump([]), headers=link)
            if request.path.endswith("/projects")
            else None
        )
        with connect(options(gitlab)) as source:
            require_broken_listing(source)
        with connect(options(gitlab, projects="acme/private-enabled")) as source:
            require_broken_listing(source)
        assert other.paths == []


def test_short_waits_are_waited_for(gitlab: GitLabServer) -> None:
    gitlab.fault = busy = FaultsAt("/issues", 429, after=2, times=3, wait="0")
    with connect(options(gitlab)) as source:
        assert {item.id for item in list_items(source)} == {
            *(f"issue:{project}:{number}" for project in range(1, 7) for number in range(1, 5)),
            *(f"wiki:{project}:{slug}" for project in range(1, 7) for slug in ("home", "ops/restart")),
        }
        assert busy.given == 3
        gitlab.fault = FaultsAt("/issues", 429, wait="600")
        with pytest.raises(SourceUnavailable) as refused:
            list(source.list_changes(""))
        assert refused.value.retry_after == 600
        gitlab.fault = FaultsAt("/members/all", 429, wait="600")
        with pytest.raises(SourceUnavailable):
            list(source.list_people())


def test_the_connection_test(gitlab: GitLabServer) -> None:
    def check(**given: str) -> list[str]:
        with connect(options(gitlab, **given)) as source:
            return [step.problem or step.warning for step in source.check()]

    encryption, *rest = check()
    assert "encrypt" in encryption
    assert rest == [""] * 4
    gitlab.is_admin = False
    assert "only managers can read what all users" in check(projects="acme/private-enabled")[-1]
    gitlab.token["scopes"] = ["api"]
    assert "may also change things" in check(projects="acme/private-enabled")[1]
    gitlab.token["expires_at"] = "2026-12-04"
    assert "expires on 2026-12-04" in check(projects="acme/private-enabled")[1]
    gitlab.token["scopes"] = ["read_user"]
    assert "lacks the scope “read_api”" in check()[-1]
    gitlab.token["scopes"] = ["read_api"]
    assert "no project “acme/gone”" in check(projects="acme/gone")[-1]
    gitlab.fault = FaultsAt("members/all", 403)
    assert "HTTP 403" in check(projects="acme/private-enabled")[-1]
    gitlab.fault = lambda _request: None
    gitlab.projects.clear()
    assert "isn’t a member of any project" in check()[-1]
    gitlab.token["active"] = False
    with connect(options(gitlab)) as source:
        assert "revoked or expired" in first_problem(source.check())
    gitlab.fault = FixedAnswer("tokens/self", {"scopes": ["read_api"]})
    with connect(options(gitlab)) as source:
        assert "revoked or expired" in first_problem(source.check())


@pytest.mark.parametrize("projects", ["12", "acme/shop, 12", "/shop/"])
def test_projects_without_a_path_are_refused(projects: str) -> None:
    with pytest.raises(ValidationError, match="group/project"):
        GitLabOptions.model_validate({"token": TOKEN, "projects": projects})
