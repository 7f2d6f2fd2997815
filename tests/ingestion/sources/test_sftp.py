"""Files of a real OpenSSH server, with permissions compared with those that the system applies."""

import grp
import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
from django.utils import timezone
from pydantic import ValidationError

from cairn.access.models import Role, SourceSubject
from cairn.access.permissions import documents_for
from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.access.services import grant_give
from cairn.access.source_access import SourceAccess, SourceGroup, SourcePerson
from cairn.access.source_services import link_source_person
from cairn.accounts.services import user_create
from cairn.library.models import Document, KnowledgeBase
from ingestion.models import SourceSchedule
from ingestion.sources.kinds import get_kind
from ingestion.sources.kinds.sftp import connection as ssh
from ingestion.sources.kinds.sftp import source as sftp
from ingestion.sources.kinds.sftp.accounts import list_accounts
from ingestion.sources.kinds.sftp.options import SftpOptions
from ingestion.sources.kinds.sftp.permissions import parse_getfacl
from ingestion.sources.protocol import (
    Change,
    Complete,
    Item,
    ItemChanged,
    ItemUnavailable,
    SourceRefused,
    SourceUnavailable,
    Unlisted,
)
from ingestion.sources.services import source_create
from ingestion.sources.sync.run import run_source_task
from tests.ingestion.sources.canary import require_canary
from tests.ingestion.sources.sftp_server import (
    SftpServer,
    needs_root,
    needs_setfacl,
    needs_sshd,
    readable_by,
)

pytestmark = needs_sshd
NAMES = ["plan.md", "Übersicht Grüße.md", "日本語.txt", "a b\\c'd\"e$(f);.md", "e\u0301.md", " *.md", "-n.md"]


@pytest.fixture
def files() -> Iterator[Path]:
    """A folder that everyone may search, with all folders above it."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    with SftpServer(tmp_path) as started:
        yield started


def values(server: SftpServer, folder: Path, **others: Any) -> dict[str, Any]:
    own = {
        "host": "127.0.0.1", "port": server.port, "host_key": server.fingerprint, "username": server.username,
        "private_key": server.private_key, "folder": str(folder),
    }  # fmt: skip
    return own | others


def options(server: SftpServer, folder: Path, **others: Any) -> SftpOptions:
    return SftpOptions(**values(server, folder, **others))


def list_all(server: SftpServer, folder: Path) -> list[Change]:
    with sftp.connect(options(server, folder)) as source:
        return list(source.list_changes(""))


def items_of(changes: list[Change]) -> dict[str, Item]:
    return {f"{each.container}/{each.name}".lstrip("/"): each for each in changes if isinstance(each, Item)}


def code_of(error: pytest.ExceptionInfo[Any]) -> str:
    return str(error.value.message.code)


def test_sftp_folder_is_listed_and_read(server: SftpServer, files: Path) -> None:
    for name in NAMES:
        (files / name).write_text(f"This is {name}.")
        (files / f"in {name}").mkdir()
        (files / f"in {name}" / name).write_text(f"This is {name} in a folder.")
    changes = list_all(server, files)
    found = items_of(changes)
    paths = {str(path.relative_to(files)): path for path in files.rglob("*") if path.is_file()}
    assert found.keys() == paths.keys()
    assert changes[-1] == Complete(cursor="", full=True)
    with sftp.connect(options(server, files)) as source:
        for name, item in found.items():
            with source.open(item) as content:
                assert content.read() == paths[name].read_bytes()
            assert item.size == paths[name].stat().st_size
        accesses = dict(source.list_access(list(found.values())))
    assert not {access.unknown for access in accesses.values() if access.unknown}
    assert len(accesses) == len(paths)


def test_sftp_kind_is_registered_and_its_check_succeeds(server: SftpServer, files: Path) -> None:
    (files / "plan.md").write_text("A plan.")
    kind = get_kind("sftp")
    with kind.connect(options(server, files, permissions="modes")) as source:
        steps = list(source.check())
    assert [(step.detail, step.problem) for step in steps] == [("", ""), ("", ""), ("plan.md", ""), ("", "")]
    assert kind.has_access
    assert kind.has_people


def test_first_test_shows_the_fingerprint_before_signing_in(server: SftpServer, files: Path) -> None:
    with pytest.raises(SourceRefused) as refused, sftp.connect(options(server, files, host_key="")):
        pass
    assert code_of(refused) == "sftp_host_key_new"
    assert server.fingerprint in refused.value.message
    shown = subprocess.run(
        ["ssh-keygen", "-lf", str(server.folder / "host.pub")], capture_output=True, text=True, check=True
    )
    assert server.fingerprint in shown.stdout


def test_server_with_another_host_key_gets_no_credentials(server: SftpServer, files: Path) -> None:
    other = f"SHA256:{'A' * 43}"
    with pytest.raises(SourceRefused) as refused, sftp.connect(options(server, files, host_key=other)):
        pass
    assert code_of(refused) == "sftp_host_key_changed"
    server.stop()
    assert "publickey" not in server.log


def test_wrong_private_key_is_refused(server: SftpServer, files: Path) -> None:
    other = (server.folder / "host").read_text()
    with pytest.raises(SourceRefused) as refused, sftp.connect(options(server, files, private_key=other)):
        pass
    assert code_of(refused) == "source_sign_in_refused"
    with (
        pytest.raises(SourceRefused) as invalid,
        sftp.connect(options(server, files, private_key="nonsense")),
    ):
        pass
    assert code_of(invalid) == "sftp_key_invalid"


class _OnePassword(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        allowed = (username, password) == ("cairn", "right")
        return paramiko.AUTH_SUCCESSFUL if allowed else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


@pytest.mark.parametrize(("password", "code"), [("right", ""), ("wrong", "source_sign_in_refused")])
def test_passwords_are_accepted_or_refused(password: str, code: str) -> None:
    key = paramiko.ECDSAKey.generate()

    def serve(listening: socket.socket) -> None:
        connection, _address = listening.accept()
        transport = paramiko.Transport(connection)
        transport.add_server_key(key)
        transport.set_subsystem_handler("sftp", paramiko.SFTPServer)
        transport.start_server(threading.Event(), _OnePassword())
        transport.join(20)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        chosen = SftpOptions(
            host="127.0.0.1",
            port=listening.getsockname()[1],
            host_key=ssh.fingerprint_of(key),
            username="cairn",
            password=password,
        )
        found = ""
        try:
            with ssh.open_connection(chosen):
                pass
        except SourceRefused as error:
            found = error.message.code
    assert found == code


def test_server_of_another_protocol_leaves_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    def answer(listening: socket.socket) -> None:
        connection, _address = listening.accept()
        with connection:
            connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=answer, args=(listening,), daemon=True).start()
        port = listening.getsockname()[1]
        chosen = SftpOptions(host="127.0.0.1", port=port, username="cairn", password="secret")
        with pytest.raises(SourceUnavailable) as away, ssh.open_connection(chosen):
            pass
    assert code_of(away) == "source_interrupted"
    assert not caplog.records


def test_links_and_pipes_are_skipped(server: SftpServer, files: Path) -> None:
    (files / "out").symlink_to("/etc")
    (files / "loop").symlink_to(files)
    (files / "passwd").symlink_to("/etc/passwd")
    os.mkfifo(files / "pipe")
    (files / "plan.md").write_text("A plan.")
    changes = list_all(server, files)
    assert items_of(changes).keys() == {"plan.md"}
    plan = items_of(changes)["plan.md"]
    (files / "plan.md").unlink()
    (files / "plan.md").symlink_to("/etc/passwd")
    with sftp.connect(options(server, files)) as source, pytest.raises(ItemUnavailable), source.open(plan):
        pass


def test_files_outside_the_folder_are_not_read(server: SftpServer, files: Path) -> None:
    (files / "in").mkdir()
    (files / "plan.md").write_text("A plan.")
    item = items_of(list_all(server, files))["plan.md"]
    with (
        sftp.connect(options(server, files / "in")) as source,
        pytest.raises(ItemUnavailable),
        source.open(item),
    ):
        pass


def test_folder_with_an_undecodable_name_is_preserved(server: SftpServer, files: Path) -> None:
    (files / "old").mkdir()
    Path(os.fsdecode(os.fsencode(files) + b"/old/gr\xfc\xdfe.md")).write_text("An old plan.")
    (files / "plan.md").write_text("A plan.")
    changes = list_all(server, files)
    assert items_of(changes).keys() == {"plan.md"}
    assert [each.container for each in changes if isinstance(each, Unlisted)] == ["old"]
    assert isinstance(changes[-1], Complete)


def test_missing_folder_is_refused(server: SftpServer, files: Path) -> None:
    with pytest.raises(SourceRefused) as refused:
        list_all(server, files / "missing")
    assert code_of(refused) == "source_folder_missing"


@needs_root
def test_unlistable_folder_is_preserved(tmp_path: Path, files: Path) -> None:
    for name in ("open", "closed"):
        (files / name).mkdir()
        (files / name / "plan.md").write_text("A plan.")
    secret = files / "secret.md"
    secret.write_text("A secret.")
    tmp_path.chmod(0o755)
    (files / "closed").chmod(0o700)
    secret.chmod(0o600)
    with SftpServer(tmp_path, uid=pwd.getpwnam("nobody").pw_uid) as server:
        changes = list_all(server, files)
        found = items_of(changes)
        with (
            sftp.connect(options(server, files)) as source,
            pytest.raises(ItemUnavailable) as refused,
            source.open(found["secret.md"]),
        ):
            pass
    assert found.keys() == {"open/plan.md", "secret.md"}
    assert [each.container for each in changes if isinstance(each, Unlisted)] == ["closed"]
    assert code_of(refused) == "source_item_refused"


def test_file_changing_during_reading_is_rejected(server: SftpServer, files: Path) -> None:
    path = files / "plan.bin"
    path.write_bytes(b"x" * 200_000)
    item = items_of(list_all(server, files))["plan.bin"]
    with sftp.connect(options(server, files)) as source:
        with source.open(item) as content:
            content.read(1000)
            path.write_bytes(b"y" * 300_000)
            with pytest.raises(ItemChanged):
                content.read()
        with pytest.raises(ItemChanged), source.open(item):
            pass


def test_server_failing_during_a_listing_completes_nothing(server: SftpServer, files: Path) -> None:
    for number in range(3):
        (files / f"{number}").mkdir()
        (files / f"{number}" / "plan.md").write_text("A plan.")
    seen: list[Change] = []

    def note(change: Change) -> None:
        seen.append(change)
        if isinstance(change, Item):
            server.stop()

    with sftp.connect(options(server, files)) as source:
        with pytest.raises(SourceUnavailable):
            deque(map(note, source.list_changes("")))
        with pytest.raises(SourceUnavailable):
            list(source.list_access([each for each in seen if isinstance(each, Item)]))
        with pytest.raises(SourceUnavailable):
            list(source.list_changes(""))
    assert not any(isinstance(change, Complete) for change in seen)
    with pytest.raises(SourceUnavailable) as away:
        list_all(server, files)
    assert code_of(away) == "source_away"


def test_too_deep_folders_are_skipped(
    server: SftpServer, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sftp, "MAX_DEPTH", 5)
    (files / "a/b/c/d/e").mkdir(parents=True)
    assert [each.container for each in list_all(server, files) if isinstance(each, Unlisted)] == ["a/b/c"]


@pytest.mark.parametrize(
    "wrong",
    [{"private_key": ""}, {"host_key": "SHA1:x"}, {"folder": "relative"}, {"port": 0}, {"host": "a/b"}],
)
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    usual = {"host": "files", "username": "cairn", "private_key": "key"}
    with pytest.raises(ValidationError):
        SftpOptions(**(usual | wrong))


# who may read


def test_people_and_groups_come_from_the_system(server: SftpServer, files: Path) -> None:
    with sftp.connect(options(server, files)) as source:
        found = list(source.list_people())
    people = {each.id for each in found if isinstance(each, SourcePerson)}
    groups = {each.id: set(each.members) for each in found if isinstance(each, SourceGroup)}
    accounts = pwd.getpwall()
    assert people == {f"uid:{each.pw_uid}" for each in accounts}
    assert groups["accounts"] == people
    for account in accounts:
        for number in os.getgrouplist(account.pw_name, account.pw_gid):
            assert f"uid:{account.pw_uid}" in groups[f"gid:{number}"]
    assert {f"gid:{each.gr_gid}" for each in grp.getgrall()} <= groups.keys()


def test_names_sharing_a_uid_are_one_person() -> None:
    passwd = "ann:x:7:70:Ann,Room 1:/:/bin/sh\nann-admin:x:7:71::/:/bin/sh\n+@nis\nbad:x:no:1::/:\n"
    found = list(list_accounts(passwd, "staff:x:70:\nwheel:x:80:ann-admin,gone\n"))
    assert found == [
        SourcePerson("uid:7", "Ann"),
        SourceGroup("gid:70", "staff", ("uid:7",)),
        SourceGroup("gid:71", "71", ("uid:7",)),
        SourceGroup("gid:80", "wheel", ("uid:7",)),
        SourceGroup("accounts", "Accounts", ("uid:7",)),
    ]


def test_unreadable_access_lists_leave_files_to_managers(tmp_path: Path, files: Path) -> None:
    (files / "plan.md").write_text("A plan.")
    with SftpServer(tmp_path, commands=False) as server, sftp.connect(options(server, files)) as source:
        [access] = dict(source.list_access(list(items_of(list(source.list_changes(""))).values()))).values()
        problem = list(source.check())[-1].problem
        assert list(source.list_people())  # from /etc
    assert access.unknown
    assert not access.allows({"uid:0", "gid:0", "accounts"})
    assert "can’t run getfacl" in problem


@needs_setfacl
def test_name_spanning_lines_cannot_borrow_permissions(server: SftpServer, files: Path) -> None:
    open_file = files / "open.md"
    open_file.write_text("Open.")
    closed = files / f"x\n{str(open_file)[1:].replace('/', '_')}"
    closed.write_text("Closed.")
    closed.chmod(0o600)
    with sftp.connect(options(server, files)) as source:
        items = [each for each in source.list_changes("") if isinstance(each, Item)]
        accesses = dict(source.list_access(items))
    assert accesses[str(closed)].unknown
    assert not accesses[str(open_file)].unknown


@pytest.mark.parametrize(
    "output",
    [
        b"# file: /a\n# owner: 0\nuser::rw-\ngroup::r--\nother::r--\n\n",
        b"# file: /a\n# owner: 0\n# group: 0\nuser::rw-\ngroup::r--\n\n",
        b"# file: /a\n# owner: 0\n# group: 0\nuser::rw-\nuser:ann:---\ngroup::r--\nother::r--\n\n",
        b"# file: /a\n# owner: 0\n# group: 0\nuser::rw-\ngroup::r--\nother::r-?\n\n",
        b"# file: /a\n# owner: 0\n# group: 0\nuser::rw-\nrole:7:---\ngroup::r--\nother::r--\n\n",
        b"not getfacl's output",
    ],
)
def test_ambiguous_getfacl_output_is_ignored(output: bytes) -> None:
    assert list(parse_getfacl(output)) == []


PEOPLE = {3001: [3001], 3002: [3002, 4001], 3003: [4001], 3004: [3004, 4001, 4002], 3005: [4002, 4003]}
GROUPS = [3001, 4001, 4002, 4003]


def set_permissions(path: Path, chance: random.Random, *, lists: bool) -> None:
    """Give a file or folder a random owner, group, mode and access list."""
    os.chown(path, chance.choice([0, *PEOPLE]), chance.choice(GROUPS))
    subprocess.run(["setfacl", "-b", str(path)], check=True)
    path.chmod(chance.choice([0o755, 0o750, 0o705, 0o700, 0o055, 0o750]) if path.is_dir() else chance.choice(
        [0o644, 0o640, 0o604, 0o600, 0o044, 0o440, 0o404]
    ))  # fmt: skip
    if lists and chance.random() < 0.7:
        bits = ["rwx", "r-x", "r--", "--x", "---"]
        entries = [
            f"u:{uid}:{chance.choice(bits)}" for uid in chance.sample(list(PEOPLE), chance.randint(0, 2))
        ]
        entries += [f"g:{gid}:{chance.choice(bits)}" for gid in chance.sample(GROUPS, chance.randint(0, 2))]
        if entries and chance.random() < 0.3:
            entries.append(f"m::{chance.choice(bits)}")
        if entries:
            subprocess.run(["setfacl", "-m", ",".join(entries), str(path)], check=True)


def assert_as_in_the_system(source: sftp.SftpSource, paths: list[Path]) -> int:
    """Compare what Cairn allows with what the system does, and count what may be read."""
    items = [each for each in source.list_changes("") if isinstance(each, Item)]
    accesses: dict[str, SourceAccess] = dict(source.list_access(items))
    assert accesses.keys() == {str(path) for path in paths}
    count = 0
    for uid, groups in PEOPLE.items():
        ids = {f"uid:{uid}", "accounts", *(f"gid:{group}" for group in groups)}
        allowed = {path for path in paths if accesses[str(path)].allows(ids)}
        assert allowed == readable_by(paths, uid, groups), uid
        count += len(allowed)
    return count


@needs_root
@needs_setfacl
@pytest.mark.parametrize("lists", [True, False])
def test_sftp_permissions_match_the_system(server: SftpServer, files: Path, *, lists: bool) -> None:
    chance = random.Random(20)
    folders = [files / f"{number}" for number in range(6)] + [
        files / f"{number}/deeper" for number in range(6)
    ]
    for folder in folders:
        folder.mkdir()
    paths = [folder / f"{number}.md" for folder in folders for number in range(5)]
    for path in paths:
        path.write_text("Text.")
    chosen = options(server, files, permissions="access_lists" if lists else "modes")
    for path in [*folders, *paths]:
        set_permissions(path, chance, lists=lists)
    with sftp.connect(chosen) as source:
        assert 20 < assert_as_in_the_system(source, paths) < len(paths) * len(PEOPLE) - 20
        for path in chance.sample([*folders, *paths], 30):
            set_permissions(path, chance, lists=lists)
        assert_as_in_the_system(source, paths)


@needs_root
@pytest.mark.django_db(transaction=True)
def test_document_of_one_reader_is_found_only_by_that_reader(
    server: SftpServer, files: Path, base: KnowledgeBase, admin: Principal
) -> None:
    one, other = pwd.getpwnam("daemon"), pwd.getpwnam("bin")
    secret = files / "secret.md"
    secret.write_text("# Secret\n\nThe canary sings at noon.")
    secret.chmod(0o600)
    os.chown(secret, one.pw_uid, one.pw_gid)
    source = source_create(
        knowledge_base=base,
        kind="sftp",
        name="Files",
        options=values(server, files, permissions="modes"),
        principal=admin,
    )

    def sync(*tasks: str) -> None:
        for task in tasks:
            row = SourceSchedule.objects.get(source=source, task=task)
            SourceSchedule.objects.filter(pk=row.pk).update(requested_at=timezone.now(), not_before=None)
            assert run_source_task(row.pk)
            row.refresh_from_db()
            assert row.error == ""

    sync("people", "content", "access")
    users = {}
    for account in (one, other):
        user = user_create(username=account.pw_name, email=f"{account.pw_name}@example.org")
        grant_give(knowledge_base=base, subject=f"user:{user.id}", role=Role.READER, principal=admin)
        subject = SourceSubject.objects.get(source=source.id, external_id=f"uid:{account.pw_uid}")
        link_source_person(subject, user, admin)
        users[account.pw_name] = user

    def readers() -> set[str]:
        return {name for name, user in users.items() if documents_for(principal_for_user(user)).exists()}

    assert readers() == {"daemon"}
    require_canary(Document.objects.get(), reader=users["daemon"], other=users["bin"])
    secret.chmod(0o400)
    sync("access")
    assert readers() == {"daemon"}
    os.chown(secret, other.pw_uid, other.pw_gid)
    sync("access")
    assert readers() == set(), "it may be another file"
    sync("content")
    assert readers() == {"bin"}


@needs_root
def test_permissions_of_a_replaced_file_do_not_open_read_content(server: SftpServer, files: Path) -> None:
    """Whoever may write in a folder can put a file of the same size and time in the place of another."""
    secret = files / "secret.md"
    secret.write_text("Salaries")
    secret.chmod(0o600)
    item = items_of(list_all(server, files))["secret.md"]
    before = secret.stat()
    secret.rename(files / "moved.md")
    secret.write_text("Anything")
    secret.chmod(0o644)
    os.utime(secret, (before.st_mtime, before.st_mtime))
    os.chown(secret, 3001, 3001)
    for permissions in ("modes", "access_lists"):
        with sftp.connect(options(server, files, permissions=permissions)) as source:
            [(_item, access)] = source.list_access([item])
            assert access.outdated
            with pytest.raises(ItemChanged), source.open(item):
                pass
