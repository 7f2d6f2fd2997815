"""A Windows file share, on a Samba server that is a domain controller."""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

import pytest
from django.utils import timezone
from smbprotocol.open import CreateDisposition, FileInformationClass

from cairn.access.models import Role
from cairn.access.permissions import documents_for
from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.access.services import grant_give, knowledge_base_create
from cairn.access.source_access import AccessEntry, SourceAccess, SourceGroup, SourcePerson
from cairn.accounts.ldap.directory import Directory
from cairn.accounts.services import user_create
from cairn.library.models import Document, KnowledgeBase
from cairn.settings.ldap import LdapSettings
from ingestion.models import SourceSchedule
from ingestion.sources.kinds import get_kind
from ingestion.sources.kinds.smb import KIND, directory
from ingestion.sources.protocol import (
    Complete,
    Item,
    ItemUnavailable,
    SourceRefused,
    SourceUnavailable,
    Unlisted,
    first_problem,
)
from ingestion.sources.services import source_create
from ingestion.sources.sync.run import run_source_task
from tests.backends import free_port
from tests.ingestion.sources.canary import require_canary
from tests.samba import (
    ADMIN,
    ADMIN_PASSWORD,
    BASE,
    DENY,
    FULL,
    PASSWORD,
    READ_DATA,
    Ace,
    Client,
    SambaDomain,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

EVERYONE_SID, ADMINISTRATORS, USERS = "S-1-1-0", "S-1-5-32-544", "S-1-5-32-545"
ENOUGH: Final = 20_000


@pytest.fixture(scope="module")
def domain() -> Iterator[SambaDomain]:
    server = SambaDomain()
    server.start()
    yield server
    server.close()


@pytest.fixture
def admin(domain: SambaDomain) -> Iterator[Client]:
    with domain.signed_in(ADMIN, ADMIN_PASSWORD) as client:
        yield client


@pytest.fixture
def folder(domain: SambaDomain, admin: Client, request: pytest.FixtureRequest) -> str:
    """A folder of this test alone."""
    name = f"test{abs(hash(request.node.name))}"
    admin.make_folder(name)
    admin.protect(name, [Ace(EVERYONE_SID, mask=FULL, flags=3)])
    return name


def options_of(domain: SambaDomain, folder: str = "", **changes: Any) -> Any:
    fields = {
        "server": domain.address,
        "share": "share",
        "folder": folder,
        "username": f"CAIRN\\{ADMIN}",
        "password": ADMIN_PASSWORD,
        "directory_server": domain.address,
        "directory_certificate": domain.ca_file.read_text(),
    }
    return KIND.options(**fields | changes)


def list_all(options: Any) -> list[Any]:
    with KIND.connect(options) as opened:
        return list(opened.list_changes(""))


def items_of(options: Any) -> dict[str, Item]:
    return {f"{each.container}/{each.name}": each for each in list_all(options) if isinstance(each, Item)}


def access_of(options: Any, item: Item) -> SourceAccess:
    with KIND.connect(options) as opened:
        return dict(opened.list_access([item]))[item.id]


def people_of(options: Any) -> list[SourcePerson | SourceGroup]:
    with KIND.connect(options) as opened:
        return list(opened.list_people())


def test_smb_kind_is_registered() -> None:
    assert get_kind("smb") is KIND


def test_smb_files_are_listed_with_metadata(domain: SambaDomain, admin: Client, folder: str) -> None:
    admin.make_folder(f"{folder}/Bücher 📚")
    admin.write(f"{folder}/Bücher 📚/Größe µ „neu“.txt", b"some words")
    [item] = items_of(options_of(domain, folder)).values()
    assert (item.name, item.container) == ("Größe µ „neu“.txt", f"{folder}/Bücher 📚")
    assert item.uri == rf"\\{domain.address}\share\{folder}\Bücher 📚\Größe µ „neu“.txt"
    assert (item.size, item.access_version) == (10, "")
    assert item.modified is not None
    assert abs(item.modified.timestamp() - time.time()) < 60
    with KIND.connect(options_of(domain)) as opened, opened.open(item) as content:
        assert content.read() == b"some words"


def test_large_file_is_read_completely(domain: SambaDomain, folder: str) -> None:
    whole = os.urandom(5_000_001)
    (domain.share / folder / "large.bin").write_bytes(whole)
    [item] = items_of(options_of(domain, folder)).values()
    with KIND.connect(options_of(domain)) as opened, opened.open(item) as content:
        assert content.read() == whole


def test_renamed_file_preserves_its_id_and_changed_one_gets_a_new_version(
    domain: SambaDomain, admin: Client, folder: str
) -> None:
    admin.write(f"{folder}/a.txt", b"one")
    [before] = items_of(options_of(domain, folder)).values()
    (domain.share / folder / "a.txt").rename(domain.share / folder / "b.txt")
    [renamed] = items_of(options_of(domain, folder)).values()
    assert (renamed.id, renamed.version, renamed.name) == (before.id, before.version, "b.txt")
    admin.write(f"{folder}/b.txt", b"two!")
    [changed] = items_of(options_of(domain, folder)).values()
    assert changed.id == before.id
    assert changed.version != before.version


def test_links_cycles_hidden_files_and_streams_are_omitted(
    domain: SambaDomain, admin: Client, folder: str
) -> None:
    admin.make_folder(f"{folder}/inner")
    admin.write(f"{folder}/inner/a.txt", b"words")
    inner = domain.share / folder / "inner"
    (inner / "circle").symlink_to("..")
    (inner / "here").symlink_to(".")
    (inner / ".hidden").write_text("dot")
    (domain.share / folder / "outside").symlink_to("/etc")
    changes = list_all(options_of(domain, folder))
    assert [each.name for each in changes if isinstance(each, Item)] == ["a.txt"]
    assert not [each for each in changes if isinstance(each, Unlisted)]
    assert changes[-1] == Complete(full=True)


def test_unlistable_folder_is_reported_and_others_listed(
    domain: SambaDomain, admin: Client, folder: str
) -> None:
    reader = domain.add_person(f"reader{free_port()}")
    name = reader.split(",")[0].removeprefix("CN=")
    for each in ("closed", "open"):
        admin.make_folder(f"{folder}/{each}")
        admin.write(f"{folder}/{each}/a.txt", b"words")
    admin.protect(f"{folder}/closed", [Ace(ADMINISTRATORS, mask=FULL)])
    changes = list_all(options_of(domain, folder, username=f"CAIRN\\{name}", password=PASSWORD))
    [unlisted] = [each for each in changes if isinstance(each, Unlisted)]
    assert unlisted.container == f"{folder}/closed"
    assert "isn’t allowed" in unlisted.reason
    assert [each.container for each in changes if isinstance(each, Item)] == [f"{folder}/open"]
    with pytest.raises(SourceRefused):
        list_all(options_of(domain, f"{folder}/closed", username=f"CAIRN\\{name}", password=PASSWORD))
    with pytest.raises(SourceRefused, match="no folder"):
        list_all(options_of(domain, f"{folder}/missing"))


def test_locked_deleted_or_replaced_file_is_unavailable(
    domain: SambaDomain, admin: Client, folder: str
) -> None:
    for name in ("locked", "gone", "replaced"):
        admin.write(f"{folder}/{name}.txt", name.encode())
    items = items_of(options_of(domain, folder))
    locked, gone, replaced = (items[f"{folder}/{name}.txt"] for name in ("locked", "gone", "replaced"))
    (domain.share / folder / "gone.txt").unlink()
    (domain.share / folder / "replaced.txt").rename(domain.share / folder / "elsewhere.txt")
    admin.write(f"{folder}/replaced.txt", b"another file")
    with KIND.connect(options_of(domain)) as opened:
        with (
            admin.opened(f"{folder}/locked.txt", READ_DATA, CreateDisposition.FILE_OPEN, sharing=0),
            pytest.raises(ItemUnavailable, match="in use"),
            opened.open(locked),
        ):
            pass
        for item in (gone, replaced):
            with pytest.raises(ItemUnavailable, match="no longer there"), opened.open(item):
                pass
        with opened.open(locked) as content:
            assert content.read() == b"locked"
        accesses = dict(opened.list_access([locked, gone, replaced]))
    assert accesses.keys() == {locked.id, replaced.id}
    assert accesses[replaced.id].unknown
    assert not accesses[locked.id].unknown


def test_missing_acl_allows_everyone_and_empty_acl_nobody(
    domain: SambaDomain, admin: Client, folder: str
) -> None:
    for name, aces in (("missing", None), ("empty", [])):
        admin.write(f"{folder}/{name}.txt", b"words")
        admin.protect(f"{folder}/{name}.txt", aces)
    items = items_of(options_of(domain, folder))
    missing, empty = (
        access_of(options_of(domain), items[f"{folder}/{name}.txt"]) for name in ("missing", "empty")
    )
    assert missing.levels[1] == (AccessEntry(EVERYONE_SID),)
    assert empty.levels[1] == ()
    assert not empty.allows({EVERYONE_SID})


def test_changed_permissions_are_noticed_though_the_file_has_not_changed(
    domain: SambaDomain, admin: Client, folder: str
) -> None:
    admin.write(f"{folder}/a.txt", b"words")
    [before] = items_of(options_of(domain, folder)).values()
    admin.protect(f"{folder}/a.txt", [Ace(ADMINISTRATORS)])
    [after] = items_of(options_of(domain, folder)).values()
    assert (after.version, after.access_version) == (before.version, "")
    assert access_of(options_of(domain), before).levels[1] == (AccessEntry(ADMINISTRATORS),)


def test_share_permissions_restrict_access(domain: SambaDomain, admin: Client, folder: str) -> None:
    admin.write(f"{folder}/a.txt", b"words")
    [item] = items_of(options_of(domain, folder)).values()
    everyone = (AccessEntry(EVERYONE_SID),)
    assert access_of(options_of(domain), item).levels[0] == everyone
    domain.set_share_permissions("O:BAG:BAD:(D;;FR;;;BU)(A;;FA;;;WD)")
    try:
        assert access_of(options_of(domain), item).levels[0] == (AccessEntry(USERS, allow=False), *everyone)
        assert access_of(options_of(domain, share_permissions="everyone"), item).levels[0] == everyone
    finally:
        domain.set_share_permissions("O:BAG:BAD:(A;;FA;;;WD)")


def test_only_public_files_are_readable_without_a_directory(
    domain: SambaDomain, admin: Client, folder: str
) -> None:
    lists = {
        "all": [Ace("S-1-5-11")],
        "some": [Ace(ADMINISTRATORS)],
        "not": [Ace(ADMINISTRATORS, DENY), Ace(EVERYONE_SID)],
    }
    for name, aces in lists.items():
        admin.write(f"{folder}/{name}.txt", b"words")
        admin.protect(f"{folder}/{name}.txt", aces)
    options = options_of(domain, folder, directory_server="", directory_certificate="")
    allowed = {path: access_of(options, item).allows(set()) for path, item in items_of(options).items()}
    assert allowed == {f"{folder}/all.txt": True, f"{folder}/some.txt": False, f"{folder}/not.txt": False}
    assert people_of(options) == []


def test_people_have_their_sign_in_id(domain: SambaDomain) -> None:
    domain.add_person("ada", displayName="Ada Lovelace", mail="ada@example.org")
    [ada] = [each for each in people_of(options_of(domain)) if each.name == "Ada Lovelace"]
    assert isinstance(ada, SourcePerson)
    assert (ada.id, ada.email) == (domain.sid(f"CN=ada,CN=Users,{BASE}"), "ada@example.org")
    assert str(UUID(ada.directory_id)) == ada.directory_id
    settings = LdapSettings(
        host=domain.address, port=636, tls=True, start_tls=False, user_base=BASE, ca_file=domain.ca_file,
        user_filter="(sAMAccountName={username})", user_name="sAMAccountName",
        bind_dn=f"CAIRN\\{ADMIN}", bind_password=ADMIN_PASSWORD,
    )  # fmt: skip
    found = Directory(settings).find("ada", PASSWORD)
    assert found is not None
    assert found.external_id == ada.directory_id


def test_accounts_unable_to_sign_in_are_omitted(domain: SambaDomain) -> None:
    for name, values in (
        ("disabled", {"userAccountControl": 514}),
        ("expired", {"accountExpires": 132000000000000000}),
        ("expires", {"accountExpires": 160000000000000000}),
    ):
        domain.replace(domain.add_person(name), **values)
    names = {each.name for each in people_of(options_of(domain))}
    assert not names & {"disabled", "expired", "krbtgt", "Guest"}
    assert {"expires", ADMIN} <= names


def test_groups_list_nested_and_primary_members(domain: SambaDomain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "MEMBERS_AT_ONCE", 3)
    monkeypatch.setattr(directory, "PAGE_SIZE", 4)
    people = [domain.add_person(f"member{number}") for number in range(8)]
    inner = domain.add_group("inner", people)
    outer = domain.add_group("outer", [inner, domain.add_group("mail", people, 2)])
    domain.replace(people[0], primaryGroupID=int(domain.sid(inner).rpartition("-")[2]))
    groups = {each.id: each for each in people_of(options_of(domain)) if isinstance(each, SourceGroup)}
    assert sorted(groups[domain.sid(inner)].members) == sorted(map(domain.sid, people))
    assert groups[domain.sid(outer)].members == (domain.sid(inner),)
    assert "mail" not in {group.name for group in groups.values()}
    assert {"S-1-5-11", "S-1-5-4"} <= set(groups[USERS].members)
    assert set(map(domain.sid, people)) <= set(groups[EVERYONE_SID].members)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"password": "wrong"}, "user name or password"),
        ({"username": "CAIRN\\nobody"}, "user name or password"),
        ({"share": "missing"}, "no folder"),
        ({"server": "169.254.169.254"}, "no server may be"),
    ],
)
def test_invalid_smb_configuration_is_rejected(
    domain: SambaDomain, changes: dict[str, str], problem: str
) -> None:
    with pytest.raises(SourceRefused, match=problem):
        list_all(options_of(domain, **changes))


@pytest.mark.parametrize(
    ("changes", "error", "problem"),
    [
        ({"directory_username": "CAIRN\\nobody", "directory_password": "x"}, SourceRefused, "user name"),
        ({"directory_certificate": ""}, SourceUnavailable, "certificate"),
        ({"directory_certificate": "no"}, SourceRefused, "PEM"),
        ({"directory_port": 9}, SourceUnavailable, "connect"),
        ({"directory_server": "169.254.169.254"}, SourceRefused, "no server may be"),
    ],
)
def test_refusing_directory_fails_the_sync_of_people(
    domain: SambaDomain, changes: dict[str, Any], error: type[Exception], problem: str
) -> None:
    with pytest.raises(error, match=problem):
        people_of(options_of(domain, **changes))


def test_unreachable_and_silent_servers_are_unavailable(
    domain: SambaDomain, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceUnavailable, match="connect"):
        list_all(options_of(domain, port=free_port()))
    monkeypatch.setattr("ingestion.sources.kinds.smb.client.TIMEOUT_SECONDS", 1)
    monkeypatch.setattr("ingestion.sources.kinds.smb.session.TIMEOUT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(SourceUnavailable):
        list_all(options_of(domain, server="127.0.0.1", port=mute.getsockname()[1]))


def test_server_that_stops_responding_times_out(
    domain: SambaDomain, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with KIND.connect(options_of(domain, folder)) as opened:
        list(opened.list_changes(""))
        monkeypatch.setattr("ingestion.sources.kinds.smb.client.TIMEOUT_SECONDS", 1)
        domain.signal(signal.SIGSTOP)
        started = time.monotonic()
        try:
            with pytest.raises(SourceUnavailable, match="timeout"):
                list(opened.list_changes(""))
            assert time.monotonic() - started < 20
        finally:
            domain.signal(signal.SIGCONT)


@pytest.mark.django_db(transaction=True)
def test_documents_follow_the_share(
    domain: SambaDomain, admin: Client, folder: str, manager: Principal, base: KnowledgeBase
) -> None:
    """From the listing to who may read, by the syncs of contents, permissions and people."""
    person = domain.add_person("reader", mail="reader@example.org")
    staff = domain.add_group("staff", [person])
    domain.add_person("colleague", mail="colleague@example.org")
    user = user_create(username="reader", email="reader@example.org")
    colleague = user_create(username="colleague", email="colleague@example.org")
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=manager)
    for name in ("a", "b"):
        admin.write(f"{folder}/{name}.txt", f"Words of {name}.".encode())
    admin.protect(f"{folder}/a.txt", [Ace(domain.sid(staff))])
    admin.protect(f"{folder}/b.txt", [Ace(ADMINISTRATORS)])
    fields = options_of(domain, folder).model_dump() | {"password": ADMIN_PASSWORD, "directory_password": ""}
    row = source_create(
        knowledge_base=base, kind="smb", name="S", options=fields, principal=manager, match_email=True
    )

    def sync(task: str) -> set[str]:
        schedule = SourceSchedule.objects.get(source=row, task=task)
        SourceSchedule.objects.filter(pk=schedule.pk).update(requested_at=timezone.now(), not_before=None)
        assert run_source_task(schedule.pk)
        schedule.refresh_from_db()
        assert schedule.error == ""
        return set(documents_for(principal_for_user(user)).values_list("title", flat=True))

    assert sync("content") == set()
    assert Document.objects.filter(knowledge_base=base).count() == 2
    assert sync("people") == {"a.txt"}
    require_canary(Document.objects.get(title="a.txt"), reader=user, other=colleague)
    admin.protect(f"{folder}/b.txt", [Ace("S-1-5-11")])
    admin.protect(f"{folder}/a.txt", [Ace(domain.sid(person), DENY), Ace(domain.sid(staff))])
    assert sync("access") == {"b.txt"}
    domain.replace(person, userAccountControl=514)
    assert sync("people") == set()


@pytest.fixture
def manager(db: None) -> Principal:
    return principal_for_user(user_create(username="root", is_admin=True))


@pytest.fixture
def base(manager: Principal) -> KnowledgeBase:
    return knowledge_base_create(name="Share", principal=manager)


def test_connection_test_reports_each_step(domain: SambaDomain, admin: Client, folder: str) -> None:
    with KIND.connect(options_of(domain, folder)) as opened:
        assert first_problem(opened.check()) == ""
    admin.write(f"{folder}/a.txt", b"words")
    with KIND.connect(options_of(domain, folder)) as opened:
        steps = list(opened.check())
    assert [step.problem for step in steps] == [""] * 5
    assert steps[1].detail == "a.txt"
    wrong = options_of(domain, folder, directory_password="wrong", directory_username="x")
    with KIND.connect(wrong) as opened:
        assert "user name or password" in first_problem(opened.check())


def test_large_folder_is_listed_at_most_twice_as_slowly_as_by_the_library(
    domain: SambaDomain, admin: Client, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(ENOUGH):
        (domain.share / folder / f"file-{number:06}.txt").touch()
    started = time.monotonic()
    with KIND.connect(options_of(domain, folder)) as opened:
        count = sum(isinstance(each, Item) for each in opened.list_changes(""))
    ours = time.monotonic() - started
    started = time.monotonic()
    bare = sum(1 for _ in walk_bare(admin, folder))
    theirs = time.monotonic() - started
    with capsys.disabled():
        ratio = ours / theirs
        sys.stdout.write(f"\n{ENOUGH} files in {ours:.2f} s, bare in {theirs:.2f} s: ratio {ratio:.2f}\n")
    assert (count, bare) == (ENOUGH, ENOUGH)
    assert ours <= 2 * theirs


def walk_bare(client: Client, folder: str) -> Iterator[str]:
    with client.opened(folder, READ_DATA | 0x100000, CreateDisposition.FILE_OPEN, 1) as handle:
        information = FileInformationClass.FILE_ID_BOTH_DIRECTORY_INFORMATION
        while True:
            try:
                entries = handle.query_directory("*", information)
            except Exception:  # noqa: BLE001  # no more files
                return
            for entry in entries:
                name = entry["file_name"].get_value().decode("utf-16-le")
                if name not in {".", ".."}:
                    yield name
