"""Who may read a file, by its security descriptor alone, and what a share's options may be."""

from contextlib import suppress
from typing import Any

import pytest

from cairn.access.scope import Principal
from cairn.access.source_access import AccessEntry, SourceAccess
from cairn.errors import InvalidInput
from cairn.http import ssrf_guard
from cairn.library.models import KnowledgeBase
from ingestion.sources import encryption
from ingestion.sources.kinds.smb import KIND
from ingestion.sources.kinds.smb.client import Entry, read_entries
from ingestion.sources.kinds.smb.descriptors import read_level, read_sid, write_sid
from ingestion.sources.protocol import SourceRefused
from ingestion.sources.services import source_create, source_update
from tests.samba import DENY, EXECUTE, FULL, INHERIT_ONLY, INHERITED, READ, WRITE, Ace, write_descriptor

ADA, BOB, STAFF, OWNER = (f"S-1-5-21-1-2-3-{number}" for number in range(1001, 1005))
EVERYONE, OWNER_RIGHTS = "S-1-1-0", "S-1-3-4"
CONDITIONAL_ALLOW, CONDITIONAL_DENY, OBJECT_ALLOW = 9, 10, 5
OPTIONS: dict[str, Any] = {
    "server": "files.example.org",
    "share": "Projects",
    "username": "EXAMPLE\\cairn",
    "password": "secret",
    "directory_server": "dc1.example.org",
}


def allowed(aces: list[Ace] | None, owner: str = OWNER) -> set[str]:
    level = read_level(write_descriptor(aces, owner))
    people = {"ada": {ADA, STAFF, EVERYONE}, "bob": {BOB, EVERYONE}, "owner": {OWNER, EVERYONE}}
    return {name for name, subjects in people.items() if SourceAccess((level,)).allows(subjects)}


@pytest.mark.parametrize(
    ("aces", "readers"),
    [
        (None, {"ada", "bob", "owner"}),
        ([], set()),
        ([Ace(ADA)], {"ada"}),
        ([Ace(STAFF, mask=FULL)], {"ada"}),
        ([Ace(ADA, mask=0x80000000), Ace(BOB, mask=0x10000000)], {"ada", "bob"}),
        ([Ace(ADA, mask=WRITE), Ace(BOB, mask=EXECUTE)], set()),
        ([Ace(ADA, mask=1)], {"ada"}),
        ([Ace(STAFF, DENY), Ace(EVERYONE)], {"bob", "owner"}),
        ([Ace(EVERYONE), Ace(STAFF, DENY)], {"ada", "bob", "owner"}),
        ([Ace(STAFF, DENY, WRITE), Ace(EVERYONE)], {"ada", "bob", "owner"}),
        ([Ace(ADA), Ace(STAFF, DENY), Ace(EVERYONE)], {"ada", "bob", "owner"}),
        ([Ace(ADA, flags=INHERIT_ONLY)], set()),
        ([Ace(ADA, flags=INHERITED)], {"ada"}),
        ([Ace(OWNER_RIGHTS)], {"owner"}),
        ([Ace(OWNER_RIGHTS, DENY), Ace(EVERYONE)], {"ada", "bob"}),
        ([Ace("S-1-3-0"), Ace("S-1-5-21-9-9-9-9")], set()),
        ([Ace(ADA, CONDITIONAL_ALLOW)], set()),
        ([Ace(STAFF, CONDITIONAL_DENY), Ace(EVERYONE)], {"bob", "owner"}),
        ([Ace(ADA, 17), Ace(BOB)], {"bob"}),
    ],
)
def test_acl_gives_its_readers(aces: list[Ace] | None, readers: set[str]) -> None:
    assert allowed(aces) == readers


def test_undecidable_acl_entry_is_ignored() -> None:
    level = read_level(write_descriptor([Ace(ADA), Ace(ADA, DENY), Ace(EVERYONE), Ace(BOB, DENY)], OWNER))
    assert level == (AccessEntry(ADA), AccessEntry(EVERYONE))


def test_subject_of_an_object_entry_follows_the_object() -> None:
    plain = write_descriptor([Ace(ADA, OBJECT_ALLOW, READ)], "")
    sid = plain[36:]
    body = plain[:36] + b"\1\0\0\0" + bytes(16) + sid
    body = body[:30] + (28 + len(sid)).to_bytes(2, "little") + body[32:]
    assert read_level(body) == (AccessEntry(ADA),)


def test_broken_descriptor_is_rejected_at_every_length() -> None:
    whole = write_descriptor([Ace(STAFF, DENY), Ace(EVERYONE)], OWNER)
    for length in range(len(whole)):
        with pytest.raises(ValueError, match=r"incomplete|invalid|short"):
            read_level(whole[:length])
    for offset in range(len(whole)):
        broken = whole[:offset] + b"\xff" + whole[offset + 1 :]
        with suppress(ValueError):
            read_level(broken)


@pytest.mark.parametrize("sid", [EVERYONE, ADA, "S-1-5-32-544", "S-1-16-4096"])
def test_sids_are_written_and_read_back(sid: str) -> None:
    assert read_sid(write_sid(sid)) == sid


def test_listing_entry_is_parsed() -> None:
    name = "Größe.txt".encode("utf-16-le")
    times = b"".join(number.to_bytes(8, "little") for number in (11, 12, 13, 14, 15, 16))
    head = bytes(8) + times + (0x420).to_bytes(4, "little") + len(name).to_bytes(4, "little")
    data = head + (0xA000000C).to_bytes(4, "little") + bytes(28) + (77).to_bytes(8, "little") + name
    assert list(read_entries(data)) == [Entry("Größe.txt", 77, 0x420, 0xA000000C, 11, 13, 15)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"server": "files/share"}, {"server": "a b"}, {"share": "a\\b"}, {"share": ""}, {"folder": "../x"},
        {"folder": "a:stream"}, {"port": 0}, {"username": ""}, {"share_permissions": "nobody"},
    ],
)  # fmt: skip
def test_invalid_smb_options_are_rejected(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        KIND.options(**OPTIONS | wrong)


def test_folder_is_normalised_to_slashes() -> None:
    assert KIND.options(**OPTIONS, folder="\\Handbook\\2026\\").folder == "Handbook/2026"  # type: ignore[attr-defined]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changed",
    [
        {"server": "evil.example"},
        {"directory_server": "evil.example"},
        {"directory_certificate": "-----BEGIN CERTIFICATE-----"},
        {"encrypt": False},
    ],
)
def test_stored_password_is_not_sent_to_another_server(
    base: KnowledgeBase, admin: Principal, changed: dict[str, str]
) -> None:
    source = source_create(knowledge_base=base, kind="smb", name="S", options=OPTIONS, principal=admin)
    options = {name: value for name, value in OPTIONS.items() if name != "password"}
    source_update(source=source, principal=admin, options=options | {"folder": "Handbook"})
    with pytest.raises(InvalidInput, match="different server"):
        source_update(source=source, principal=admin, options=options | changed)


def test_unencrypted_share_on_the_internet_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    public = [ssrf_guard.ip_address("93.184.215.14")]
    monkeypatch.setattr(encryption, "resolve_server", lambda host, port: public)
    options = KIND.options.model_validate({**OPTIONS, "encrypt": False})
    with pytest.raises(SourceRefused, match="encrypted"), KIND.connect(options):
        pass
