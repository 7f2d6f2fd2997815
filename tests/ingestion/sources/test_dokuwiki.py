"""DokuWiki: what a real one shows its users equals what Cairn takes from it."""

import random
import shutil
from collections.abc import Iterator

import pytest

from ingestion.sources import web_server
from ingestion.sources.kinds import get_kind
from ingestion.sources.kinds.dokuwiki import admin_pages
from ingestion.sources.kinds.dokuwiki.options import DokuwikiOptions
from ingestion.sources.kinds.dokuwiki.rules import SIGNED_IN
from ingestion.sources.kinds.dokuwiki.source import DokuwikiSource, connect
from ingestion.sources.protocol import (
    Item,
    ItemUnavailable,
    SourceRefused,
    SourceUnavailable,
    first_problem,
)
from tests.backends import free_port
from tests.ingestion.sources.access_by_source import FollowingBase, ids_of_people, list_items
from tests.ingestion.sources.dokuwiki_server import ADMIN, PASSWORD, DokuwikiServer, options
from tests.ingestion.sources.odd_server import Behaviour, Endless, Fixed, OddServer, Redirect

pytestmark = pytest.mark.slow

PEOPLE = {
    "ada": ("user", "staff", "board"),
    "bo": ("user", "staff"),
    "cy": ("user", "it"),
    "di": ("user",),
    "eve": ("user", "board"),
    "fay": ("staff",),
    "gus": ("user", "it", "hr"),
    "o.neil-x": ("user", "hr"),
    "zoë": ("user", "größe"),
    "日本": ("user",),
    "kim": (),
    "lu_1": ("user", "staff", "it", "hr", "board"),
}
SPACES = (
    "",
    "staff:",
    "staff:plans:",
    "staff:plans:deep:",
    "board:",
    "user:ada:",
    "user:zoë:",
    "user:bo:",
    "it:",
    "größe:",
    "hr:",
    "日本語:",
)
LEVELS = (0, 0, 1, 1, 2, 8, 16)
SCOPES = (
    "*",
    "staff:*",
    "staff:plans:*",
    "staff:plans:deep:*",
    "board:*",
    "user:*",
    "user:ada:*",
    "it:*",
    "hr:*",
    "日本語:*",
    "staff:p0",
    "staff:plans:p1",
    "p0",
    "p1",
    "user:%USER%:*",
    "%GROUP%:*",
    "%GROUP%:plans:*",
    "user:%USER%:p0",
    "board:p2",
)
SUBJECTS = (
    "@ALL",
    "@user",
    "@staff",
    "@board",
    "@it",
    "@hr",
    "@größe",
    "@nobody",
    "ada",
    "bo",
    "zoë",
    "o%2eneil%2dx",
    "lu%5f1",
    "%USER%",
    "%GROUP%",
    "日本",
)


@pytest.fixture(scope="module")
def wiki() -> Iterator[DokuwikiServer]:
    server = DokuwikiServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def world(wiki: DokuwikiServer) -> DokuwikiServer:
    """The wiki with 12 people, 60 pages and 12 files under rules of all sorts."""
    wiki.groups = {ADMIN: ("admin", "user"), **PEOPLE}
    wiki.rules = [
        "* @ALL 1",
        "* @user 8",
        "staff:* @ALL 0",
        "staff:* @staff 8  # a comment",
        "staff:plans:* @staff 0",
        "staff:plans:* @board 1",
        "staff:plans:p1 ada 0",
        "staff:plans:p1 @board 0",
        "staff:plans:p1 bo 2",
        "board:* @ALL 0",
        "board:* @board 16",
        "board:* %USER% 0",
        "user:* @ALL 0",
        "user:%USER%:* %USER% 16",
        "user:%USER%:* @board 1",
        "%GROUP%:* %GROUP% 8",
        "hr:* @ALL 0",
        "hr:p0 o%2eneil%2dx 1",
        "it:* @user 0",
        "p1 @ALL 0",
    ]
    wiki.settings["superuser"] = "@admin,kim, @nobody"
    shutil.rmtree(wiki.folder / "data" / "pages")
    for space in SPACES:
        for number in range(5):
            wiki.write_page(
                f"{space}p{number}", f"====== Page {number} of {space} ======\n\nText of {space}.\n"
            )
        wiki.write_file(f"{space}file.txt", f"File of {space}".encode())
    wiki.save()
    return wiki


@pytest.fixture
def following(db: None) -> FollowingBase:
    base = FollowingBase()
    base.add_people([ADMIN, *PEOPLE, ""])
    return base


def show_in_cairn(server: DokuwikiServer, following: FollowingBase) -> dict[str, set[str]]:
    """Return the ids of items that Cairn shows each user, by login; "" is a stranger."""
    with connect(options(server)) as source:
        following.follow(source)
    return {login: following.list_shown(login) for login in (*server.groups, "")}


def assert_equal(server: DokuwikiServer, following: FollowingBase) -> None:
    found = show_in_cairn(server, following)
    for login in server.groups:
        assert found[login] == server.list_shown(login), login
    assert found[""] <= server.list_shown("")


def change(server: DokuwikiServer, dice: random.Random) -> None:
    """Change a rule, the groups of a user, the superusers, or a page."""
    what = dice.randrange(10)
    if what < 5:
        server.rules.append(f"{dice.choice(SCOPES)} {dice.choice(SUBJECTS)} {dice.choice(LEVELS)}")
    elif what < 7:
        server.rules.remove(dice.choice([rule for rule in server.rules if not rule.startswith("* ")]))
    elif what < 8:
        groups = ("user", "staff", "board", "it", "hr", "größe")
        server.groups[dice.choice(list(PEOPLE))] = tuple(dice.sample(groups, dice.randrange(4)))
    elif what < 9:
        server.settings["superuser"] = f"@admin,{dice.choice(list(PEOPLE))}"
    else:
        server.write_page(f"{dice.choice(SPACES)}new{dice.randrange(100)}", "New text.")


def drop_repeated(rules: list[str]) -> list[str]:
    """Return the rules without repetitions: the wiki's own page of rules doesn't show them."""
    return [f"{key} {level}" for key, level in dict(rule.rsplit(" ", 1) for rule in rules).items()]


def test_dokuwiki_access_stays_equal_after_random_changes(
    world: DokuwikiServer, following: FollowingBase
) -> None:
    world.rules = [rule.partition("  #")[0] for rule in world.rules]
    assert_equal(world, following)
    dice = random.Random(24)
    for _round in range(5):
        for _change in range(10):
            change(world, dice)
        world.rules = drop_repeated(world.rules)
        world.save()
        assert_equal(world, following)
    found = show_in_cairn(world, following)
    everything = sorted(found[ADMIN])
    for _sample in range(60):
        login, item = dice.choice(list(PEOPLE)), dice.choice(everything)
        assert world.is_shown(login, item) == (item in found[login]), (login, item)
    assert len(set(map(frozenset, found.values()))) > 5


@pytest.mark.django_db(transaction=True)
def test_documents_follow_the_wiki(world: DokuwikiServer, following: FollowingBase) -> None:
    """From the listing to who may read, by the syncs of content, people and access."""
    given = options(world).model_dump() | {"password": PASSWORD}
    following.sync("dokuwiki", given)
    following.require_synced(PEOPLE, world.list_shown)
    world.rules.remove("staff:plans:* @board 1")
    world.groups["di"] = ("user", "staff")
    world.delete_page("it:p1")
    world.write_page("it:p2", "Other text.")
    world.save()
    following.sync("dokuwiki", given)
    following.require_synced(PEOPLE, world.list_shown)
    following.require_canary({login: world.list_shown(login) for login in PEOPLE})


def test_repeated_rule_grants_no_more_than_the_wiki(world: DokuwikiServer, following: FollowingBase) -> None:
    world.rules = [
        "* @ALL 1",
        "it:* @it 1",
        "it:* @it 0",
        "it:* @ALL 0",
        "hr:* @hr 0",
        "hr:* @hr 1",
        "hr:* @ALL 0",
    ]
    world.save()
    found = show_in_cairn(world, following)
    for login, shown in found.items():
        assert shown <= world.list_shown(login), login
    assert "page:hr:p0" in found["gus"]


def test_dokuwiki_content_is_raw_wiki_text(world: DokuwikiServer) -> None:
    text = "====== Leave ======\n\n{{page>board:p0}} ~~INFO:syntaxplugins~~ <php>echo 1;</php> größe\n"
    world.write_page("leave", text)
    with connect(options(world)) as source:
        items = {item.id: item for item in list_items(source)}
        assert read(source, items["page:leave"]) == text.encode()
        assert read(source, items["file:größe:file.txt"]) == "File of größe:".encode()
    page, file = items["page:user:zoë:p0"], items["file:größe:file.txt"]
    assert (page.name, page.container, page.size) == ("p0.dokuwiki", "user/zoë", 56)
    assert page.uri == f"{world.url}doku.php?id=user:zo%C3%AB:p0"
    assert (file.name, file.container) == ("file.txt", "größe")
    assert page.modified is not None


def read(source: DokuwikiSource, item: Item) -> bytes:
    with source.open(item) as content:
        return content.read()


def test_rule_named_like_a_file_applies_only_to_pages(
    world: DokuwikiServer, following: FollowingBase
) -> None:
    world.rules = ["* @ALL 1", "it:* @ALL 0", "it:file.txt @ALL 1", "hr:file.txt @ALL 0"]
    world.save()
    found = show_in_cairn(world, following)["di"]
    assert found == world.list_shown("di")
    assert "file:it:file.txt" not in found
    assert world.is_shown("di", "file:hr:file.txt")


def test_only_the_chosen_namespace_without_files(world: DokuwikiServer) -> None:
    with connect(options(world, namespace="staff:plans", files=False)) as source:
        items = list_items(source)
    assert {item.container for item in items} == {"staff/plans", "staff/plans/deep"}
    assert not [item for item in items if not item.name.endswith(".dokuwiki")]


def test_page_changed_between_listing_and_reading_is_rejected(world: DokuwikiServer) -> None:
    with connect(options(world)) as source:
        items = {item.id: item for item in list_items(source)}
        world.write_page("p0", "Other text.")
        world.delete_page("it:p1")
        world.write_file("it:file.txt", b"Other and longer content")
        for name, code in (
            ("page:p0", "source_item_changed"),
            ("page:it:p1", "source_item_gone"),
            ("file:it:file.txt", "source_item_changed"),
        ):
            with pytest.raises(ItemUnavailable) as refused:
                read(source, items[name])
            assert refused.value.message.code == code  # type: ignore[attr-defined]
        again = {item.id: item for item in list_items(source)}
        assert "page:it:p1" not in again
        assert read(source, again["page:p0"]) == b"Other text."


def test_account_losing_its_rights_during_a_listing_deletes_nothing(world: DokuwikiServer) -> None:
    with connect(options(world)) as source:
        changes = source.list_changes("")
        next(changes)
        world.settings["superuser"] = "kim"
        world.save()
        with pytest.raises(SourceRefused, match="isn’t a superuser"):
            list(changes)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"password": "wrong"}, "refuses this user name or password"),
        ({"username": "", "password": "no token"}, "refuses this user name or password"),
        ({"username": "ada"}, "isn’t a superuser"),
    ],
)
def test_a_wrong_account_is_refused(world: DokuwikiServer, given: dict[str, str], problem: str) -> None:
    with connect(options(world, **given)) as source:
        assert problem in first_problem(source.check())
        with pytest.raises(SourceRefused):
            list(source.list_changes(""))
        with pytest.raises(SourceRefused):
            list(source.list_people())
        with pytest.raises(SourceRefused):
            list(source.list_access([Item("page:p0", "p0", f"{world.url}doku.php?id=p0", "")]))


@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [
        ("remote", 0, "doesn’t offer the API"),
        ("useacl", 0, "refuses this user name"),
        ("remoteuser", "ada", "isn’t a superuser"),
    ],
)
def test_unsuitable_wiki_settings_are_reported(
    world: DokuwikiServer, setting: str, value: object, problem: str
) -> None:
    before, world.settings[setting] = world.settings[setting], value
    world.save()
    try:
        with connect(options(world)) as source:
            assert problem in first_problem(source.check())
    finally:
        world.settings[setting] = before


def test_connection_test_succeeds_and_compares_permissions(world: DokuwikiServer) -> None:
    world.rules = ["* @ALL 1", "p1 @ALL 0", "p1 ada 1"]
    world.save()
    with connect(options(world)) as source:
        steps = list(source.check())
        assert [step.problem for step in steps] == [""] * 4
        assert "isn’t encrypted" in steps[0].warning
        world.rules = ["* @ALL 1", "p1 @ALL 0", "p1 ada 1", "p1 ada 0"]
        world.save()
        assert "decides otherwise" in first_problem(source.check())


def test_ambiguous_names_leave_pages_to_managers(world: DokuwikiServer) -> None:
    world.groups = {ADMIN: ("admin",), "ada": ("Sales Team",), "bo": ("user",)}
    world.rules = ["* @ALL 1", "it:* @sales_team 0"]
    world.save()
    with connect(options(world)) as source:
        items = list_items(source)
        assert {found.unknown != "" for _id, found in source.list_access(items)} == {True}
        with pytest.raises(SourceRefused, match="“Sales Team”"):
            list(source.list_people())


def test_denial_with_a_different_case_leaves_pages_to_managers(world: DokuwikiServer) -> None:
    world.groups = {ADMIN: ("admin",), "ada": ("staff",)}
    world.rules = ["* @ALL 1", "it:* @Staff 0"]
    world.save()
    with connect(options(world)) as source:
        access = dict(source.list_access(list_items(source)))
    assert "“@Staff”" in access["page:it:p0"].unknown
    assert not access["page:hr:p0"].unknown


def test_user_names_cannot_forge_groups(world: DokuwikiServer) -> None:
    """A name that users choose themselves ends neither its cell nor its line."""
    lines = [f"u{number:02}:x:U:u{number:02}@example.org:user\n" for number in range(41)]
    lines.append('eve:x:Eve</td><td>e@x.org</td><td>board</td></tr> "\\",admin" :e@example.org:user\n')
    users = world.conf / "users.auth.php"
    users.write_text(users.read_text().splitlines(keepends=True)[0] + "".join(lines))
    with connect(options(world)) as source:
        ids = ids_of_people(source)
    assert len(ids) == 43
    assert ids["user:eve"] == {"user:eve", "group:user", SIGNED_IN}


def test_users_vanishing_during_their_listing_are_noticed(world: DokuwikiServer) -> None:
    world.groups |= {f"u{number:02}": ("user",) for number in range(41)}
    world.save()
    with connect(options(world)) as source:
        people = admin_pages.read_users(source._server)
        next(people)
        del world.groups["ada"]
        world.save()
        with pytest.raises(SourceUnavailable, match="while Cairn was listing them"):
            list(people)


def test_unreachable_wiki_is_reported() -> None:
    given = {"url": f"http://127.0.0.1:{free_port()}/", "username": "a", "password": "b"}
    with connect(DokuwikiOptions.model_validate(given)) as source:
        assert "Can’t connect" in first_problem(source.check())
        with pytest.raises(SourceUnavailable):
            list(source.list_changes(""))


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Redirect("http://elsewhere.example/"), "redirects to http://elsewhere.example/"),
        (Endless(), "doesn’t end"),
        (Fixed(b"<html>"), "can’t read"),
        (Fixed(b"{}", status=503), "overloaded"),
        (Fixed(b'{"result": {"login": 1}}'), "can’t read"),
    ],
)
def test_invalid_responses_are_reported(
    answer: Behaviour, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "MAX_BYTES", 300_000)
    with OddServer(answer) as server:
        given = {"url": server.url, "username": "a", "password": "b"}
        with connect(DokuwikiOptions.model_validate(given)) as source:
            assert problem in first_problem(source.check())
            with pytest.raises((SourceUnavailable, SourceRefused)):
                list(source.list_people())
        assert server.requests < 5


def test_dokuwiki_kind_is_registered() -> None:
    kind = get_kind("dokuwiki")
    assert (kind.has_access, kind.has_people) == (True, True)
