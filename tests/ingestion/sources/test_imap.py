"""Messages of a real IMAP server, who may read them, and servers that misbehave."""

import random
import shutil
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any, Final

import pytest
from pydantic import ValidationError

from cairn.access.source_access import SourceAccess, SourceGroup, SourcePerson
from cairn.http import ssrf_guard
from ingestion.sources import encryption
from ingestion.sources.kinds import get_kind
from ingestion.sources.kinds.imap import ImapOptions, connection
from ingestion.sources.kinds.imap import source as imap
from ingestion.sources.kinds.imap.access_lists import build_access, parse_right
from ingestion.sources.kinds.imap.mailboxes import pack, unpack
from ingestion.sources.protocol import (
    Change,
    Complete,
    Gone,
    Item,
    ItemUnavailable,
    SourceRefused,
    SourceUnavailable,
    Unlisted,
)
from tests.ingestion.sources.access_by_source import FollowingBase, list_items
from tests.ingestion.sources.imap_server import ACCOUNT, PREFIX, Dovecot, password_of

pytestmark = pytest.mark.slow

PEOPLE: Final = {"ada": ["finance", "board"], "eve": ["finance"], "joe": [], "mia": ["board", "press"]}
GROUPS: Final = "\n".join(
    [
        *(
            f"{group}: {', '.join(name for name, groups in PEOPLE.items() if group in groups)}"
            for group in ("finance", "board", "press")
        ),
        f"authenticated: {', '.join([ACCOUNT, *PEOPLE])}",
    ]
)
MAILBOXES: Final = ["Finance", "News", "Übersicht Grüße", "Projects/2026"]


@pytest.fixture(scope="module")
def running() -> Iterator[Dovecot]:
    server = Dovecot(PEOPLE)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def server(running: Dovecot) -> Iterator[Dovecot]:
    for mailbox in MAILBOXES:
        running.set_access(mailbox, ["anyone lr"])
        for number in range(3):
            running.deliver(mailbox, make_message(f"Grüße {number} from {mailbox}"))
    yield running
    shutil.rmtree(running.mail / "public")
    running.mail.joinpath("public").mkdir()


def make_message(subject: str, size: int = 0) -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"] = subject, "ada@example.org"
    message.set_content(f"About {subject}.\n" + "x" * 70 * (size // 70))
    message.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="figures.csv")
    message.set_boundary("=-between-parts")
    return message.as_bytes()


def options(server: Dovecot, **others: Any) -> ImapOptions:
    given = {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "username": ACCOUNT,
        "password": password_of(ACCOUNT),
        "groups": GROUPS,
    }
    return ImapOptions(**{**given, **others})


def list_all(server: Dovecot, cursor: str = "", **others: Any) -> list[Change]:
    with imap.connect(options(server, **others)) as source:
        return list(source.list_changes(cursor))


def items_of(changes: list[Change]) -> list[Item]:
    return [each for each in changes if isinstance(each, Item)]


def cursor_of(changes: list[Change]) -> str:
    assert isinstance(changes[-1], Complete)
    return changes[-1].cursor


def code_of(error: pytest.ExceptionInfo[Any]) -> str:
    return str(error.value.message.code)


def test_every_message_is_listed_and_read(server: Dovecot) -> None:
    changes = list_all(server)
    found = items_of(changes)
    assert {(item.container, item.title) for item in found} == {
        (PREFIX + mailbox, f"Grüße {number} from {mailbox}") for mailbox in MAILBOXES for number in range(3)
    }
    assert len({item.id for item in found}) == len(found) == 12
    assert all(item.name.endswith(".eml") and "/" not in item.name and item.modified for item in found)
    with imap.connect(options(server)) as source:
        for item in random.Random(1).sample(found, len(found)):
            with source.open(item) as content:
                read = content.read()
            assert read.replace(b"\r\n", b"\n") == make_message(item.title).replace(b"\r\n", b"\n")
            assert b"figures.csv" in read


def test_imap_kind_is_registered_and_its_check_succeeds(server: Dovecot) -> None:
    kind = get_kind("imap")
    with kind.connect(options(server)) as source:
        steps = list(source.check())
    assert [step.problem for step in steps] == ["", "", "", ""]
    assert steps[0].warning.startswith("The connection isn’t encrypted")


def test_reading_does_not_mark_messages_as_read(server: Dovecot) -> None:
    with imap.connect(options(server)) as source:
        for item in items_of(list(source.list_changes(""))):
            with source.open(item) as content:
                content.read()
    with server.client("ada") as client:
        client.select_folder(f"{PREFIX}Finance", readonly=True)
        assert client.search(["SEEN"]) == []


def test_later_listing_contains_only_changes(server: Dovecot) -> None:
    first = list_all(server)
    assert first[-1].full  # type: ignore[union-attr]
    assert items_of(list_all(server, cursor_of(first))) == []
    server.deliver("News", make_message("New"))
    with_new = list_all(server, cursor_of(first))
    assert [item.title for item in items_of(with_new)] == ["New"]
    assert not with_new[-1].full  # type: ignore[union-attr]
    server.set_access("News", ["anyone lr"], own="lrate")
    with server.client(ACCOUNT) as client:
        client.select_folder(f"{PREFIX}News")
        uids = client.search()
        client.delete_messages(uids[:1])
    after = list_all(server, cursor_of(with_new))
    [gone] = [each for each in after if isinstance(each, Gone)]
    known = {item.id: item for item in items_of(first)}
    assert known[gone.id].title == "Grüße 0 from News"


def test_messages_of_a_deleted_mailbox_are_deleted(server: Dovecot) -> None:
    first = list_all(server)
    server.delete("News")
    gone = {each.id for each in list_all(server, cursor_of(first)) if isinstance(each, Gone)}
    assert gone == {item.id for item in items_of(first) if item.container == f"{PREFIX}News"}


def test_recreated_mailbox_has_new_messages(server: Dovecot) -> None:
    """Its numbers start again, and UIDVALIDITY says so."""
    first = list_all(server)
    server.delete("News")
    time.sleep(1.1)  # UIDVALIDITY is a time
    server.set_access("News", ["anyone lr"])
    server.deliver("News", make_message("Another"))
    changes = list_all(server, cursor_of(first))
    before = {item.id for item in items_of(first) if item.container == f"{PREFIX}News"}
    assert {each.id for each in changes if isinstance(each, Gone)} == before
    [item] = items_of(changes)
    assert item.id not in before
    former = next(each for each in items_of(first) if each.container == f"{PREFIX}News")
    with imap.connect(options(server)) as source, pytest.raises(ItemUnavailable), source.open(former):
        pass


def test_unreadable_mailbox_is_preserved(server: Dovecot) -> None:
    first = list_all(server)
    server.set_access("News", ["anyone l"], own="la")
    changes = list_all(server, cursor_of(first))
    [unlisted] = [each for each in changes if isinstance(each, Unlisted)]
    assert unlisted.container == f"{PREFIX}News"
    assert not any(isinstance(each, Gone) for each in changes)
    server.set_access("News", ["anyone lr"])
    again = list_all(server, cursor_of(changes))
    assert not items_of(again)
    assert not any(isinstance(each, Gone | Unlisted) for each in again)


def test_only_chosen_mailboxes_are_listed(server: Dovecot) -> None:
    found = items_of(list_all(server, mailboxes=f"{PREFIX}Projects\n{PREFIX}Übersicht Grüße"))
    assert {item.container for item in found} == {f"{PREFIX}Projects/2026", f"{PREFIX}Übersicht Grüße"}


def test_large_message_is_read_completely(server: Dovecot) -> None:
    message = make_message("Large", size=3_000_000)
    server.deliver("News", message)
    [item] = [each for each in items_of(list_all(server)) if each.title == "Large"]
    with imap.connect(options(server)) as source, source.open(item) as content:
        assert content.read().replace(b"\r\n", b"\n") == message.replace(b"\r\n", b"\n")


def test_deleted_message_is_reported(server: Dovecot) -> None:
    item = items_of(list_all(server))[0]
    server.delete(item.container.removeprefix(PREFIX))
    with imap.connect(options(server)) as source, pytest.raises(ItemUnavailable), source.open(item):
        pass


def test_unusual_subjects_become_usable_names(server: Dovecot) -> None:
    server.deliver("News", b"Subject: =?utf-8?q?a/b\\c:d_=E2=80=AEx?=\r\n\r\nhi\r\n")
    server.deliver("News", b"Subject: \xff\xfe\r\n\r\nhi\r\n")
    server.deliver("News", b"\r\nno header\r\n")
    found = [item for item in items_of(list_all(server)) if item.container == f"{PREFIX}News"]
    assert len(found) == 6
    assert all(item.name.removesuffix(".eml") and not set("/\\:\u202e") & set(item.name) for item in found)


# who may read


def readers_of(server: Dovecot, **others: Any) -> dict[str, set[str]]:
    """The mailboxes that Cairn shows to each person."""
    with imap.connect(options(server, **others)) as source:
        items = items_of(list(source.list_changes("")))
        found = dict(source.list_access(items))
        people = list(source.list_people())
    groups = [each for each in people if isinstance(each, SourceGroup)]
    shown: dict[str, set[str]] = {}
    for name in PEOPLE:
        own = f"person:{name}"
        subjects = {own, *(group.id for group in groups if own in group.members)}
        shown[name] = {
            item.container.removeprefix(PREFIX) for item in items if found[item.id].allows(subjects)
        }
    return shown


def server_readers(server: Dovecot) -> dict[str, set[str]]:
    return {name: server.readable(name, MAILBOXES) for name in PEOPLE}


def test_imap_readers_match_the_servers_access_lists(server: Dovecot) -> None:
    server.set_access("Finance", ["group=finance lr", "user=eve l"])
    server.set_access("News", ["anyone lr", "-group=board r"])
    server.set_access("Projects/2026", ["user=joe r", "group-override=press l"])
    server.set_access("Übersicht Grüße", ["authenticated lr", "-user=mia r"])
    expected = {
        "ada": {"Finance", "Übersicht Grüße"},
        "eve": {"News", "Übersicht Grüße"},
        "joe": {"News", "Projects/2026", "Übersicht Grüße"},
        "mia": set(),
    }
    assert server_readers(server) == expected
    assert readers_of(server) == expected


@pytest.mark.django_db(transaction=True)
def test_imap_message_is_found_only_by_its_readers(server: Dovecot) -> None:
    server.set_access("Finance", ["user=ada lr"])
    following = FollowingBase()
    following.add_people(PEOPLE)
    given = options(server).model_dump() | {"password": password_of(ACCOUNT)}
    following.sync("imap", given)
    following.link(**{name: f"person:{name}" for name in PEOPLE})
    with imap.connect(options(server)) as source:
        mailboxes = {item.id: item.container.removeprefix(PREFIX) for item in list_items(source)}
    shown = {
        name: {item for item, mailbox in mailboxes.items() if mailbox in readable}
        for name, readable in server_readers(server).items()
    }
    assert {name: following.list_synced(name) for name in PEOPLE} == shown
    following.require_canary(shown)


IDENTIFIERS: Final = [
    "anyone",
    "authenticated",
    "owner",
    *(f"user={name}" for name in PEOPLE),
    *(f"group={name}" for name in ("finance", "board", "press")),
    *(f"group-override={name}" for name in ("finance", "board")),
]


def is_mixed(given: dict[str, str]) -> bool:
    """Whether some groups are given rights and others lose some. What Dovecot makes of that depends on the
    order of their names; Cairn then never shows more, but may show less."""
    kinds = {identifier.partition("=")[0] for identifier in given}
    return {"group", "-group"} <= kinds or {"group-override", "-group-override"} <= kinds


@pytest.mark.parametrize("seed", range(4))
def test_access_stays_equal_after_random_changes(server: Dovecot, seed: int) -> None:
    chance = random.Random(seed)
    lists: dict[str, dict[str, str]] = {mailbox: {} for mailbox in MAILBOXES}
    different, compared = set(), 0
    for number in range(50):
        mailbox = chance.choice(MAILBOXES)
        identifier = chance.choice(["", "", "", "", "-"]) + chance.choice(IDENTIFIERS)
        rights = chance.choice(["lr", "lr", "l", "r", "lrs", ""])
        lists[mailbox].pop(identifier, None)
        if rights:
            lists[mailbox][identifier] = rights
        if len(lists[mailbox]) > 4:
            lists[mailbox].pop(chance.choice(list(lists[mailbox])))
        server.set_access(mailbox, [f"{name} {given}" for name, given in lists[mailbox].items()])
        if number % 5 == 4:
            expected = server_readers(server)
            shown = readers_of(server)
            exact = {mailbox for mailbox, given in lists.items() if not is_mixed(given)}
            assert all(shown[name] <= expected[name] for name in PEOPLE), lists
            assert all(shown[name] & exact == expected[name] & exact for name in PEOPLE), lists
            compared += len(exact)
            different.add(str(expected))
    assert compared > 25
    assert len(different) > 5


def test_mailbox_with_a_hidden_access_list_is_for_managers_only(server: Dovecot) -> None:
    server.set_access("News", ["anyone lr"], own="lr")
    assert all("News" not in mailboxes for mailboxes in readers_of(server).values())
    with imap.connect(options(server)) as source:
        steps = list(source.check())
    assert any("doesn’t show who may read" in step.warning for step in steps)


def test_exclusions_of_unknown_people_leave_messages_to_managers(server: Dovecot) -> None:
    """An account here that isn't known to be the excluded person's would read what that person may not."""
    server.set_access("News", ["anyone lr", "-group=board r"])
    server.set_access("Finance", ["anyone lr", "-user=mia r"])
    server.set_access("Projects/2026", ["anyone lr"])
    without = readers_of(server, groups="finance: ada, eve")
    assert all(mailboxes >= {"Projects/2026"} for mailboxes in without.values())
    assert not any(mailboxes & {"News", "Finance"} for mailboxes in without.values())


def test_people_and_groups_come_from_access_lists_and_options(server: Dovecot) -> None:
    server.set_access("News", ["user=ada@example.org lr"])
    with imap.connect(options(server, groups="finance: ada, eve")) as source:
        found = {each.id: each for each in source.list_people()}
    assert found["person:ada@example.org"] == SourcePerson(
        "person:ada@example.org", "ada@example.org", email="ada@example.org"
    )
    assert found["person:ada"] == SourcePerson("person:ada", "ada", directory_id="ada")
    assert found["group:finance"] == SourceGroup("group:finance", "finance", ("person:ada", "person:eve"))


def test_inbox_belongs_to_the_account_owner(server: Dovecot) -> None:
    with server.client(ACCOUNT) as client:
        client.append("INBOX", make_message("Private"))
    with imap.connect(options(server)) as source:
        [item] = [each for each in items_of(list(source.list_changes(""))) if each.container == "INBOX"]
        [(_, access)] = source.list_access([item])
    assert access.allows({f"person:{ACCOUNT}"})
    assert not access.allows({"person:ada", "authenticated"})


@pytest.mark.parametrize(
    ("rights", "readers"),
    [
        ({"anyone": "lr", "eve": "l"}, {"ada", "eve"}),
        ({"anyone": "lr", "-eve": "r"}, {"ada"}),
        ({"group:finance": "lr"}, {"eve"}),
        ({"group:finance": "lr", "-group:finance": "r", "ada": "r"}, {"ada"}),
        ({"#global": "lr", "anyone": "lr"}, set()),
    ],
)
def test_rights_of_other_servers_are_added_up(rights: dict[str, str], readers: set[str]) -> None:
    parsed = [parse_right(name, given, is_dovecot=False) for name, given in rights.items()]
    access = build_access(parsed, owner="", groups={"finance", "authenticated"}, is_dovecot=False)
    subjects = {
        "ada": {"person:ada", "authenticated"},
        "eve": {"person:eve", "group:finance", "authenticated"},
    }
    assert {name for name, ids in subjects.items() if access.allows(ids)} == readers


# connections


def test_certificates_are_checked_for_the_name(server: Dovecot, monkeypatch: pytest.MonkeyPatch) -> None:
    for security, port in (("tls", server.tls_port), ("starttls", server.port)):
        given = {"security": security, "port": port, "host": "localhost"}
        with pytest.raises(SourceRefused):
            list_all(server, **given)
        with monkeypatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(server.ca_file))
            assert len(items_of(list_all(server, **given))) >= 12
            with pytest.raises(SourceRefused) as refused:  # the certificate is for localhost
                list_all(server, **{**given, "host": "127.0.0.1"})
        assert "certificate" in str(refused.value.message).lower()


def test_dns_rebinding_is_prevented(server: Dovecot, monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = socket.getaddrinfo, []

    def resolve(host: Any, *more: Any, **others: Any) -> Any:
        if host == "mail.example.org":
            asked.append(host)
            return real("127.0.0.1" if len(asked) == 1 else "127.0.0.2", *more, **others)
        return real(host, *more, **others)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert items_of(list_all(server, host="mail.example.org"))
    assert len(asked) == 1


def test_wrong_passwords_are_refused(server: Dovecot) -> None:
    with pytest.raises(SourceRefused) as refused:
        list_all(server, password="wrong")
    assert code_of(refused) == "source_sign_in_refused"


def test_passwords_never_cross_the_internet_unencrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encryption, "resolve_server", lambda *_: [ssrf_guard.ip_address("93.184.215.14")])
    given = ImapOptions(host="mail.example.org", port=143, security="none", username="a", password="b")
    with pytest.raises(SourceRefused) as refused, imap.connect(given):
        pass
    assert code_of(refused) == "source_unencrypted_refused"


def test_metadata_services_are_unreachable() -> None:
    given = ImapOptions(host="169.254.169.254", username="a", password="b")
    with pytest.raises(SourceRefused), imap.connect(given):
        pass


def test_server_failing_during_a_listing_completes_nothing(server: Dovecot) -> None:
    seen: list[Change] = []
    try:
        with imap.connect(options(server)) as source:
            changes = source.list_changes("")
            seen.extend(next(changes) for _ in range(3))
            server.kill()
            with pytest.raises(SourceUnavailable):
                deque(map(seen.append, changes))
        with pytest.raises(SourceUnavailable) as away:
            list_all(server)
    finally:
        server.start()
    assert code_of(away) == "source_away"
    assert not any(isinstance(change, Complete) for change in seen)


@pytest.mark.parametrize(
    "given", [{"host": "a b"}, {"host": "a@b"}, {"port": 0}, {"groups": "finance"}, {"groups": "a: b\na: c"}]
)
def test_impossible_options_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ImapOptions(**{"host": "mail.example.org", "username": "a", "password": "b", **given})


def test_sets_of_numbers_are_written_in_short() -> None:
    chance = random.Random(3)
    for _ in range(100):
        numbers = {chance.randint(1, 60) for _ in range(chance.randint(0, 40))}
        assert unpack(pack(numbers)) == numbers
    assert pack(range(1, 100_001)) == "1:100000"


# servers that misbehave


@contextmanager
def answering(answer: Callable[[str, Any], None]) -> Iterator[ImapOptions]:
    """Start a server that answers each command in this way."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connected, _ = listening.accept()
            except OSError:
                return
            try:
                with connected, connected.makefile("rwb", 0) as stream:
                    stream.write(b"* OK ready\r\n")
                    while line := stream.readline():
                        answer(line.decode().strip(), stream)
            except OSError:
                pass  # the client has gone

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        port = listening.getsockname()[1]
        yield ImapOptions(host="127.0.0.1", port=port, security="none", username="a", password="b")
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


SCRIPT: Final = {
    "CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n",
    "LIST": b'* LIST () "/" INBOX\r\n',
    "EXAMINE": b"* 1 EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n* OK [UIDNEXT 2] ok\r\n",
    "SEARCH": b"* SEARCH 1\r\n",
    "SUBJECT": b"* 1 FETCH (UID 1 RFC822.SIZE 10 BODY[HEADER.FIELDS (SUBJECT)]<0> {14}\r\n"
    b"Subject: x\r\n\r\n)\r\n",
    "BODY.PEEK[]": b"* 1 FETCH (UID 1 BODY[]<0> {5}\r\nhello)\r\n",
}


def scripted(**changes: bytes | Iterator[bytes]) -> Callable[[str, Any], None]:
    """Answer as a server with one message does, except for some commands."""
    script: dict[str, Any] = SCRIPT | {
        name.replace("BODY", "BODY.PEEK[]"): value for name, value in changes.items()
    }

    def answer(line: str, stream: Any) -> None:
        tag = line.split(maxsplit=1)[0]
        name = next((name for name in reversed(script) if name in line.upper()), "")
        given = script.get(name, b"")
        for piece in [given] if isinstance(given, bytes) else given:
            stream.write(piece)
        stream.write(f"{tag} OK {'[READ-ONLY] ' if name == 'EXAMINE' else ''}done\r\n".encode())

    return answer


def forever(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece


def read_first(given: ImapOptions) -> bytes:
    with imap.connect(given) as source:
        [item] = items_of(list(source.list_changes("")))
        with source.open(item) as content:
            return content.read()


def test_scripted_server_answers() -> None:
    with answering(scripted()) as given:
        assert read_first(given) == b"hello"


@pytest.mark.parametrize(
    "changes",
    [
        {"LIST": forever(b'* LIST () "/" INBOX\r\n')},
        {"SEARCH": forever(b"* SEARCH 1\r\n")},
        {"SEARCH": forever(b"1 ")},
        {"EXAMINE": forever(b"* OK still here\r\n")},
        {"CAPABILITY": forever(b"x")},
        {"SUBJECT": b"* 1 FETCH (UID 1 BODY[HEADER] {99999999999}\r\n"},
        {"BODY": b"* 1 FETCH (UID 1 BODY[]<0> {99999999999}\r\n"},
        {"BODY": forever(b"* 1 FETCH (FLAGS ())\r\n")},
        {"LIST": b"* LIST ((((((\r\n"},
        {"SUBJECT": b"* 1 FETCH (((\r\n"},
        {"EXAMINE": b"* 1 EXISTS\r\n"},
        {"EXAMINE": b"* 1 EXISTS\r\n* OK [UIDVALIDITY x] ok\r\n"},
    ],
)
def test_endless_or_invalid_responses_are_rejected(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_ANSWER_BYTES", 1_000_000)
    start = time.monotonic()
    with answering(scripted(**changes)) as given, pytest.raises((SourceUnavailable, SourceRefused)):
        read_first(given)
    assert time.monotonic() - start < 20


def test_slow_responses_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_ANSWER_SECONDS", 0.5)

    def drip() -> Iterator[bytes]:
        while True:
            time.sleep(0.05)
            yield b"x"

    with answering(scripted(LIST=drip())) as given, pytest.raises(SourceUnavailable) as endless:
        read_first(given)
    assert code_of(endless) == "source_answer_endless"


def test_invalid_message_numbers_skip_the_mailbox() -> None:
    lying = b"* 1 EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n* OK [UIDNEXT 4294967295] ok\r\n"
    with answering(scripted(EXAMINE=lying)) as given, imap.connect(given) as source:
        changes = list(source.list_changes(""))
    assert any(isinstance(each, Unlisted) for each in changes)


def test_unrequested_messages_are_ignored() -> None:
    with answering(scripted(SEARCH=b"* SEARCH 1 7 99\r\n")) as given, imap.connect(given) as source:
        assert len(items_of(list(source.list_changes("")))) == 1


def test_sudden_empty_mailbox_list_deletes_nothing() -> None:
    with answering(scripted()) as given, imap.connect(given) as source:
        cursor = cursor_of(list(source.list_changes("")))
    with (
        answering(scripted(LIST=b"")) as given,
        imap.connect(given) as source,
        pytest.raises(SourceUnavailable) as error,
    ):
        list(source.list_changes(cursor))
    assert code_of(error) == "source_empty"


def test_password_is_not_sent_without_starttls() -> None:
    seen: list[str] = []

    def answer(line: str, stream: Any) -> None:
        seen.append(line)
        scripted()(line, stream)

    with answering(answer) as given:
        secure = given.model_copy(update={"security": "starttls"})
        with pytest.raises(SourceRefused), imap.connect(secure):
            pass
    assert not any("LOGIN" in line for line in seen)


def test_server_without_access_lists_leaves_messages_to_managers() -> None:
    with answering(scripted()) as given, imap.connect(given) as source:
        items = items_of(list(source.list_changes("")))
        [(_, access)] = source.list_access(items)
    assert isinstance(access, SourceAccess)
    assert access.unknown
