"""GitHub: what the model of a server shows its people equals what Cairn takes from it."""

import json
import random
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product

import pytest
from pydantic import SecretStr, ValidationError
from werkzeug.wrappers import Request, Response

from cairn.library.models import DocumentVersion
from ingestion.sources import daily_listing, json_api
from ingestion.sources.kinds.github.options import GitHubOptions
from ingestion.sources.kinds.github.source import connect
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
from tests.ingestion.sources.cloud.github_server import (
    NOW,
    PEOPLE,
    ROLES,
    TOKEN,
    Comment,
    GitHubServer,
    Issue,
    change,
    fill,
    options,
    time_of,
)

ONE = "acme/private-1"


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubServer]:
    set_now(monkeypatch, NOW)
    with GitHubServer() as server:
        fill(server)
        yield server


def set_now(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    monkeypatch.setattr(daily_listing, "current_time", lambda: now)


def find_unknown(server: GitHubServer) -> dict[str, str]:
    """Return why the access of items isn't known, by the id of the item."""
    with connect(options(server)) as source:
        accesses = dict(source.list_access(list_items(source)))
    return {item: access.unknown for item, access in accesses.items() if access.unknown}


def repositories_of(items: object) -> set[str]:
    return {item.split(":")[1] for item in items}  # type: ignore[attr-defined]


def test_people_see_what_github_shows_them_also_after_changes(github: GitHubServer) -> None:
    dice, seen = random.Random(5), set[frozenset[str]]()
    for _round in range(8):
        with connect(options(github)) as source:
            shown = find_shown(source)
        for number, person in enumerate(PEOPLE, 1):
            expected = github.list_shown(person)
            is_known = f"user:{number}" in shown
            assert not is_known or shown[f"user:{number}"] == expected, person
            assert is_known or repositories_of(expected) <= {
                str(each.id) for each in github.repositories.values() if each.visibility == "public"
            }, person
            seen.add(frozenset(expected))
        for _change in range(10):
            change(github, dice)
    assert len(seen) > 5


@pytest.mark.parametrize("role", ["", *ROLES])
def test_table_of_roles(github: GitHubServer, role: str) -> None:
    """Compare with a table that is written by hand, for somebody who isn't in the organization."""
    for repository in github.repositories.values():
        repository.teams, repository.direct = {}, {"eve": role} if role else {}
    with connect(options(github)) as source:
        shown = find_shown(source).get("user:5", set())
    assert ("issue:1:1" in shown, "pull:1:4" in shown, "issue:2:1" in shown) == (bool(role),) * 3
    assert ("issue:3:1" in shown) == bool(role), "who is unknown to the source sees what is public without it"


def test_members_see_internal_repositories_and_not_private_ones(github: GitHubServer) -> None:
    with connect(options(github)) as source:
        shown = find_shown(source)
    assert repositories_of(shown["user:1"]) == {"1", "2", "3", "4"}, "owners of the organization"
    assert repositories_of(shown["user:2"]) == {"2", "3"}, "members"
    assert repositories_of(shown["user:3"]) == {"1", "2", "3"}, "members of a team in another team"
    assert repositories_of(shown["user:5"]) == {"1", "2", "3"}, "collaborators from outside"
    assert "user:6" not in shown


def test_bots_and_people_without_the_right_to_read_are_left_out(github: GitHubServer) -> None:
    rows = [
        {**github.person("bo"), "permissions": {"pull": True}, "type": "Bot"},
        {**github.person("cy"), "permissions": {"pull": False, "triage": True}, "role_name": "odd"},
        {**github.person("di"), "role_name": "read"},
        {**github.person("eve"), "permissions": None},
        {**github.person("fay"), "permissions": {"pull": True}},
    ]
    github.fault = FixedAnswer(f"{ONE}/collaborators", rows)
    with connect(options(github, repositories=ONE)) as source:
        assert find_shown(source).keys() == {"user:6"}


@pytest.mark.django_db(transaction=True)
def test_documents_follow_github(github: GitHubServer, following: FollowingBase) -> None:
    """Compare after the syncs of content, people and access. Who joins or leaves processes nothing again."""
    del github.repositories[3], github.repositories[4]
    for repository in github.repositories.values():
        del repository.issues[2], repository.issues[3]
    given = options(github).model_dump() | {"token": TOKEN}

    def compare() -> None:
        following.sync("github", given)
        for person in PEOPLE:
            assert following.list_synced(person) == github.list_shown(person), person

    compare()
    before = set(DocumentVersion.objects.values_list("pk", flat=True))
    github.repositories[1].direct = {"fay": "triage"}
    github.repositories[2].visibility = "private"
    github.teams["staff"] = {"bo"}
    github.repositories[1].path = "acme/renamed"
    compare()
    assert set(DocumentVersion.objects.values_list("pk", flat=True)) == before
    following.require_canary({person: github.list_shown(person) for person in PEOPLE})


def test_unknown_access_leaves_documents_to_managers(github: GitHubServer) -> None:
    """What isn't fully known is for managers, with the reason, and other repositories are as they were."""
    forbidden = FaultsAt(f"{ONE}/collaborators", 403)
    for fault, numbers in ((forbidden, {"1"}), (FaultsAt("acme/members", 404), {"2"})):
        github.fault = fault
        unknown = find_unknown(github)
        assert repositories_of(unknown) == numbers
        assert all("must be allowed to write" in reason for reason in unknown.values())
        with connect(options(github)) as source:
            groups = {each.id for each in source.list_people() if isinstance(each, SourceGroup)}
        assert not groups & {f"collaborators:{number}" for number in numbers}
        assert "collaborators:4" in groups
    github.fault = lambda _request: None
    for more in (
        {"visibility": "secret"},
        {"visibility": None},
        {"private": False},
        {"visibility": "public"},
        {"disabled": True},
    ):
        github.repositories[1].more = more
        unknown = find_unknown(github)
        assert repositories_of(unknown) == {"1"}, more
        assert all("doesn’t understand" in reason for reason in unknown.values())


@pytest.mark.parametrize("space", [" ", "\n", "\t"])
def test_space_around_the_token_is_ignored(github: GitHubServer, space: str) -> None:
    given = options(github)
    token = SecretStr(given.token.get_secret_value() + space)
    with connect(given.model_copy(update={"token": token})) as source:
        assert list_items(source)


@pytest.mark.parametrize("token", ["secret\nhunter2", "secret\0hunter2", "sécret-hunter2"])
def test_token_that_cannot_be_sent_is_refused_without_showing_it(github: GitHubServer, token: str) -> None:
    given = options(github).model_copy(update={"token": SecretStr(token)})
    with pytest.raises(SourceRefused) as caught, connect(given) as source:
        list_items(source)
    assert "Copy it again" in caught.value.message
    assert "hunter2" not in caught.value.message


def test_public_repositories_are_open_only_if_visitors_see_them(github: GitHubServer) -> None:
    with connect(options(github)) as source:
        accesses = dict(source.list_access(list_items(source)))
    assert [accesses[f"issue:{number}:1"].allows(None) for number in range(1, 5)] == [
        False,
        False,
        True,
        False,
    ]
    other = github.show_repository(github.repositories[1])
    for answer in (Response("<html>Sign in</html>"), Response(json.dumps(other)), Response(status=401)):
        github.fault = lambda request, answer=answer: (  # type: ignore[misc]
            None if "Authorization" in request.headers else answer
        )
        with connect(options(github)) as source:
            accesses = dict(source.list_access(list_items(source)))
        assert not accesses["issue:3:1"].allows(None)
        assert accesses["issue:3:1"].allows(["organization:70"])


def test_github_com_shows_public_repositories_to_everyone(github: GitHubServer) -> None:
    """It answers too few requests of visitors to ask it for each repository."""
    with connect(options(github)) as source:
        source._visitor = None
        items = list_items(source)
        github.answers_visitors = False
        assert dict(source.list_access(items))["issue:3:1"].allows(None)
    assert options(github).api_url == f"{github.origin}api/v3/"
    hosted = GitHubOptions.model_validate({"token": TOKEN})
    assert (hosted.api_url, hosted.is_hosted) == ("https://api.github.com/", True)
    tenant = GitHubOptions.model_validate({"token": TOKEN, "url": "https://acme.ghe.com"})
    assert (tenant.api_url, tenant.is_hosted) == ("https://api.acme.ghe.com/", False)


def test_people_are_linked_by_the_addresses_on_their_profiles(github: GitHubServer) -> None:
    def find_people() -> dict[str, SourcePerson]:
        with connect(options(github, repositories=ONE)) as source:
            found = [each for each in source.list_people() if isinstance(each, SourcePerson)]
        return {each.id: each for each in found}

    assert find_people()["user:5"] == SourcePerson("user:5", "Eve", email_of("eve"))
    github.fault = FaultsAt("user/5", 404)
    assert find_people()["user:5"] == SourcePerson("user:5", "eve", "")
    github.fault = FixedAnswer("user/5", {"id": 6, "login": "fay", "email": "fay@example.org"})
    assert find_people()["user:5"].email == "", "the profile is of somebody else"


def test_content_of_issues_and_pull_requests(github: GitHubServer) -> None:
    repository = github.repositories[1]
    issue, pull = repository.issues[1], repository.issues[4]
    issue.title, issue.body, issue.assignees = "Pump\n# leaks", "Use `valve`\r\nnow", ("bo", "cy")
    issue.comments |= {place: Comment(f"Comment {place}") for place in range(2, 6)}
    issue.comments[6] = Comment("Buy pills", more={"minimized": {"reason": "spam"}})
    pull.pull, pull.body = {"merged_at": "2026-11-02T10:00:00Z"}, None
    with connect(options(github, repositories=ONE)) as source:
        items = {each.id: each for each in list_items(source)}
        text = read_item(source, items["issue:1:1"]).decode()
        merged = read_item(source, items["pull:1:4"]).decode()
    item = items["issue:1:1"]
    assert (item.container, item.name, item.modified) == (ONE, "1.md", time_of(2))
    assert item.title.startswith(f"{ONE}#1 Pump")
    assert item.uri == f"{github.origin}{ONE}/issues/1"
    assert items["pull:1:4"].uri == f"{github.origin}{ONE}/pull/4"
    facts = "State: open, Author: ada, Assignees: bo, cy, Labels: bug, later, Created: 2026-11-01"
    assert text.startswith(
        f"# Pump # leaks\n\nIssue #1, {facts}\n\nUse `valve`\nnow\n\n## bo, 2026-11-02\n\n"
    )
    kind = "Pull request #4, State: merged, Author: ada, Labels: bug, later, Created: 2026-11-01"
    assert merged == f"# Broken 4\n\n{kind}\n"
    assert text.index("Comment 2") < text.index("Comment 5")
    assert "Buy pills" not in text
    with connect(options(github, repositories=ONE, comments=False, pull_requests=False)) as source:
        found = {each.id: each for each in list_items(source)}
        assert found.keys() == {"issue:1:1", "issue:1:2", "issue:1:3"}
        assert "Comment 2" not in read_item(source, found["issue:1:1"]).decode()


def test_changed_moved_and_deleted_issues_are_not_read(github: GitHubServer) -> None:
    issues = github.repositories[1].issues
    moved = Response(status=301, headers={"Location": "/api/v3/repositories/2/issues/9"})
    with connect(options(github, repositories=ONE)) as source:
        items = {each.id: each for each in list_items(source)}
        issues[1].comments[1].updated = time_of(5)
        issues[2].updated = time_of(5)
        del issues[3]
        for item, code in (
            ("issue:1:1", "source_item_changed"),
            ("issue:1:2", "source_item_changed"),
            ("issue:1:3", "source_item_gone"),
        ):
            with pytest.raises(ItemUnavailable) as refused:
                read_item(source, items[item])
            assert refused.value.message.code == code  # type: ignore[attr-defined]
        for answer in (moved, Response("{}", 410)):
            github.fault = lambda request, answer=answer: (  # type: ignore[misc]
                answer if request.path.endswith("/4") else None
            )
            with pytest.raises(ItemUnavailable, match="no longer"):
                read_item(source, items["pull:1:4"])


def test_later_syncs_list_changes_and_full_ones_what_is_gone(
    github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    issues = github.repositories[1].issues
    with connect(options(github, repositories=ONE)) as source:
        first, known = follow_changes(source, set(), "")
        versions = {each.id: each.version for each in list_items(source)}
        set_now(monkeypatch, NOW + timedelta(hours=1))
        issues[2].updated = NOW + timedelta(minutes=30)
        issues[9] = Issue(9, updated=NOW)
        issues[1].comments[1].updated = NOW
        del issues[3]
        changes = list(source.list_changes(first.cursor))
        changed = {each.id: each.version for each in changes if isinstance(each, Item)}
        assert changed.keys() == {"issue:1:1", "issue:1:2", "issue:1:9"}
        assert all(changed[item] != versions.get(item) for item in changed)
        second = changes[-1]
        assert isinstance(second, Complete)
        assert not second.full
        known |= set(changed)
        set_now(monkeypatch, NOW + timedelta(hours=25))
        assert {each.id: each.version for each in list_items(source)}.items() >= changed.items()
        third, left = follow_changes(source, known, second.cursor)
    assert third.full
    assert left == {"issue:1:1", "issue:1:2", "issue:1:9", "pull:1:4"}


def test_issues_that_changed_just_now_are_read_again(
    github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GitHub notes times in seconds, so a second change within one leaves no trace."""
    github.repositories[1].issues[2].updated = NOW - timedelta(minutes=1)
    with connect(options(github, repositories=ONE)) as source:
        before = {each.id: each for each in list_items(source)}
        assert b"Broken 2" in read_item(source, before["issue:1:2"])
        set_now(monkeypatch, NOW + timedelta(hours=1))
        after = {each.id: each.version for each in list_items(source)}
    assert {item for item in after if after[item] != before[item].version} == {"issue:1:2"}


def test_issues_deleted_during_a_listing_hide_no_others(github: GitHubServer) -> None:
    """The pages of GitHub shift then: the issue that comes first on the next page would be missing. Many
    issues and comments can have the same time, which the next request may leave out."""
    issues = github.repositories[1].issues
    for number in range(5, 30):
        comments = {1: Comment("Fixed", updated=time_of(4, number // 5 * 2))}
        issues[number] = Issue(number, updated=time_of(3, number // 5 * 2), comments=comments)

    def shift(_request: Request) -> None:
        if sum("/issues?" in path for path in github.paths) > 1:
            issues.pop(1, None)

    github.fault = shift
    with connect(options(github, repositories=ONE)) as source:
        found = {int(each.id.rpartition(":")[2]): each.modified for each in list_items(source)}
    assert sorted(found) == list(range(1, 30))
    assert all(found[number] == time_of(4, number // 5 * 2) for number in range(5, 30))


def test_repositories_deleted_during_a_listing_hide_no_others(github: GitHubServer) -> None:
    def shift(_request: Request) -> None:
        if sum("/user/repos" in path for path in github.paths) > 1:
            github.repositories.pop(1, None)

    github.fault = shift
    with connect(options(github)) as source:
        assert {each.container for each in list_items(source)} == {
            each.path for each in github.repositories.values()
        }


def test_chosen_repositories_are_listed_and_missing_ones_preserved(github: GitHubServer) -> None:
    with connect(options(github, repositories=f"{ONE}, /acme/public-3/, acme/gone, nobody")) as source:
        changes = list(source.list_changes(""))
    assert {each.container for each in changes if isinstance(each, Item)} == {ONE, "acme/public-3"}
    missing = {each.container: each.reason for each in changes if isinstance(each, Unlisted)}
    assert set(missing) == {"acme/gone", "nobody"}
    assert "no repository “acme/gone”" in missing["acme/gone"]
    assert "no organization “nobody”" in missing["nobody"]
    with connect(options(github, repositories="acme, acme/public-3")) as source:
        items = [each.id for each in list_items(source)]
    assert len(items) == len(set(items)) == 16
    moved = Response(status=301, headers={"Location": "/api/v3/repositories/1"})
    renamed = Response(
        json.dumps({**github.show_repository(github.repositories[1]), "full_name": "acme/new"})
    )
    for answer in (moved, renamed):
        github.fault = lambda request, answer=answer: answer if request.path.endswith(ONE) else None  # type: ignore[misc]
        with connect(options(github, repositories=ONE)) as source:
            found = list(source.list_changes(""))
        assert [each.container for each in found if isinstance(each, Unlisted)] == [ONE]


@pytest.mark.parametrize(
    ("path", "status"), [("/issues?", 403), ("/issues?", 410), ("/issues/comments", 404)]
)
def test_documents_of_a_repository_that_refuses_are_preserved(
    github: GitHubServer, path: str, status: int
) -> None:
    github.fault = FaultsAt(f"private-4{path}", status)
    with connect(options(github)) as source:
        changes = list(source.list_changes(""))
    assert isinstance(changes[-1], Complete)
    assert {each.container for each in changes if isinstance(each, Unlisted)} == {"acme/private-4"}


def test_issues_that_are_turned_off_are_not_taken(github: GitHubServer) -> None:
    with connect(options(github)) as source:
        items = list_items(source)
        github.repositories[1].has_issues = github.repositories[2].has_issues = False
        del github.repositories[4]
        github.fault = FaultsAt("internal-2/issues?", 410)
        left = {each.id for each in list_items(source)}
        known = {item for item, _access in source.list_access(items)}
    assert repositories_of(left) == {"1", "3"}
    assert {item for item in left if ":1:" in item and item.endswith("4")} == {"pull:1:4"}
    assert not any(item.startswith("issue:1:") for item in left | known)
    assert "pull:1:4" in known
    assert "4" not in repositories_of(known)


@pytest.mark.parametrize(
    ("path", "status"), list(product(("/issues?", "/issues/comments", "/repos?"), (500, 503, 401)))
)
def test_a_listing_that_breaks_off_deletes_nothing(github: GitHubServer, path: str, status: int) -> None:
    github.fault = FaultsAt(path, status, after=1, wait="600")
    with connect(options(github)) as source:
        require_broken_listing(source)


def test_a_token_revoked_during_a_listing_deletes_nothing(github: GitHubServer) -> None:
    with connect(options(github)) as source:
        changes = source.list_changes("")
        found = [next(changes) for _change in range(3)]
        github.fault = lambda request: Response("{}", 401) if request.path.endswith("/user") else None
        with pytest.raises(SourceRefused):
            found.extend(changes)
    assert not any(isinstance(each, Complete) for each in found)


def test_lists_without_organizations_that_need_single_sign_on_delete_nothing(github: GitHubServer) -> None:
    sign_on = {"X-GitHub-SSO": "partial-results; organizations=70"}
    github.fault = FixedAnswer(
        "/user/repos", [], **{name.replace("-", "_"): sign_on[name] for name in sign_on}
    )
    with connect(options(github)) as source:
        require_broken_listing(source)
        assert "Authorize the token" in first_problem(source.check())


ISSUE = {"number": 1, "created_at": "2026-11-02T10:00:00Z", "updated_at": "2026-11-02T10:00:00Z"}


@pytest.mark.parametrize(
    "rows",
    [
        "{}",
        "[",
        "[{}]",
        [ISSUE],
        [{**ISSUE, "comments": 0}, {**ISSUE, "comments": 0, "updated_at": "2026-11-01T10:00:00Z"}],
    ],
)
def test_answers_that_make_no_sense_are_not_the_end_of_a_list(github: GitHubServer, rows: object) -> None:
    text = rows if isinstance(rows, str) else json.dumps(rows)
    github.fault = lambda request: Response(text) if request.path.endswith("/issues") else None
    with connect(options(github)) as source:
        require_broken_listing(source)


@pytest.mark.parametrize("path", ["/user/repos", "/issues", "/collaborators"])
def test_lists_that_never_end_are_an_error(
    github: GitHubServer, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    for module in (daily_listing, json_api):
        monkeypatch.setattr(module, "MAX_PAGES", 20)
    pages = iter(range(1, 1000))

    def repeat(request: Request) -> Response | None:
        if not request.path.endswith(path):
            return None
        repository = github.repositories[1]
        row = (
            github.show_issue(repository.issues[1])
            if path == "/issues"
            else github.show_repository(repository)
        )
        return Response(json.dumps([row]), headers={"Link": f'<x?page={next(pages)}>; rel="next"'})

    github.fault = repeat
    with connect(options(github)) as source, pytest.raises(SourceRefused, match="doesn’t end"):
        list(source.list_changes("") if path != "/collaborators" else source.list_people())
    assert next(pages) == 21


def test_empty_pages_are_not_followed_by_others(github: GitHubServer) -> None:
    link = {"Link": '<https://wrong.example/?page=2>; rel="next"'}
    github.fault = lambda request: Response("[]", headers=link) if "/issues" in request.path else None
    with connect(options(github)) as source:
        require_broken_listing(source)


@pytest.mark.parametrize("rows", ["[]", '[{"id": 1}]'])
def test_links_that_lead_nowhere_are_an_error(github: GitHubServer, rows: str) -> None:
    link = {"Link": '<https://wrong.example/?per_page=100>; rel="next"'}
    github.fault = lambda request: Response(rows, headers=link) if "collaborators" in request.path else None
    with connect(options(github)) as source, pytest.raises(SourceUnavailable):
        list(source.list_people())


def test_the_token_is_sent_only_to_the_server(github: GitHubServer) -> None:
    with GitHubServer() as other:
        fill(other)
        target = {"Location": f"{other.origin}api/v3/repos/{ONE}/issues"}
        link = {"Link": f'<{other.origin}api/v3/user/repos?page=2>; rel="next"'}
        github.fault = lambda request: (
            Response(status=302, headers=target)
            if request.path.endswith("/issues")
            else Response("[{}]" if "page" in request.args else "[]", headers=link)
            if request.path.endswith("/user/repos")
            else None
        )
        for chosen in ("", ONE):
            with connect(options(github, repositories=chosen)) as source:
                require_broken_listing(source)
        assert other.paths == []


def refuse(status: int, body: str = "{}", **headers: str) -> Response:
    return Response(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


def test_limits_of_requests_are_waited_for(github: GitHubServer) -> None:
    github.fault = busy = FaultsAt("/issues", 429, after=2, times=3, wait="0")
    with connect(options(github, repositories=ONE)) as source:
        assert len(list_items(source)) == 4
        assert busy.given == 3
        used_up = {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": str(int(time.time()) + 900)}
        for answer, least, most in (
            (refuse(403, Retry_After="600"), 600, 600),
            (refuse(429, Retry_After="600", **used_up), 600, 600),
            (refuse(403, **used_up), 800, 901),
            (refuse(429, **used_up), 800, 901),
            (refuse(403, '{"message": "You have exceeded a secondary rate limit."}'), 60, 60),
            (refuse(403, X_RateLimit_Remaining="0", X_RateLimit_Reset="soon"), 60, 60),
        ):
            for path in ("/issues", "/collaborators"):
                github.fault = lambda request, path=path, answer=answer: (  # type: ignore[misc]
                    answer if request.path.endswith(path) else None
                )
                with pytest.raises(SourceUnavailable) as refused:
                    list(source.list_changes("") if path == "/issues" else source.list_people())
                assert least <= refused.value.retry_after <= most


def test_the_connection_test(github: GitHubServer) -> None:
    def check(**given: str) -> list[str]:
        with connect(options(github, **{"repositories": ONE, **given})) as source:
            return [step.problem or step.warning for step in source.check()]

    encryption, *rest = check()
    assert "encrypt" in encryption
    assert rest == [""] * 4
    for expires in ("2026-12-03 10:00:00 UTC", "2026-12-03 12:00:00 +0200"):
        github.token_headers = {"GitHub-Authentication-Token-Expiration": expires}
        assert "expires on 2026-12-03" in check()[1]
    github.token_headers = {"GitHub-Authentication-Token-Expiration": "2027-01-03 10:00:00 UTC"}
    assert check()[1] == ""
    github.token_headers = {"X-OAuth-Scopes": "repo"}
    assert "Prefer a fine-grained token" in check()[1]
    assert "no repository “acme/gone”" in check(repositories="acme/gone")[-1]
    github.fault = FaultsAt("collaborators", 403)
    assert "must be allowed to write" in check()[-1]
    assert check(repositories="acme/public-3")[-1] == ""
    github.fault = FixedAnswer("collaborators", [])
    assert "lists no people" in check()[-1]
    github.fault = FaultsAt("/issues", 403)
    assert "HTTP 403" in check()[-1]
    github.fault = lambda _request: None
    github.repositories.clear()
    assert "has no repositories" in check(repositories="")[-1]
    github.is_valid = False
    with connect(options(github)) as source:
        assert "revoked or expired" in first_problem(source.check())


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"repositories": "a/b/c"}, "acme/shop"),
        ({"repositories": "acme/.."}, "acme/shop"),
        ({"repositories": "acme/"}, ""),
        ({"url": "https://api.github.com"}, "the website"),
        ({"url": "https://api.acme.ghe.com"}, "the website"),
        ({"url": "https://www.github.com"}, "the website"),
        ({"url": "https://github.example.org/api/v3/"}, "the website"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict[str, str], reason: str) -> None:
    if not reason:
        assert GitHubOptions.model_validate({"token": TOKEN, **given}).chosen == ("acme",)
        return
    with pytest.raises(ValidationError, match=reason):
        GitHubOptions.model_validate({"token": TOKEN, **given})
