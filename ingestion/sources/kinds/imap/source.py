"""Mailboxes of an IMAP server. Messages never change: a listing compares numbers with the last one."""

import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC
from email import message_from_bytes, policy
from typing import Any, BinaryIO, Final

from imapclient.exceptions import IMAPClientError

from cairn.access.source_access import SourceAccess, SourceGroup, SourcePerson
from cairn.messages import CodedMessage
from ingestion.sources.check_steps import check_reading, find_first
from ingestion.sources.item_streams import ItemStream
from ingestion.sources.kinds.imap.access_lists import (
    AUTHENTICATED,
    MailboxRight,
    Specificity,
    build_access,
    group_id,
    parse_right,
    person_id,
)
from ingestion.sources.kinds.imap.connection import Connection, open_connection
from ingestion.sources.kinds.imap.mailboxes import (
    SKIPPED_FLAGS,
    Mailbox,
    Seen,
    find_owner,
    is_chosen,
    message_id,
    message_uri,
    pack,
    parse_uri,
    read_cursor,
    unpack,
    write_cursor,
)
from ingestion.sources.kinds.imap.options import ImapOptions, Security
from ingestion.sources.protocol import (
    Change,
    CheckStep,
    Complete,
    Gone,
    Item,
    ItemUnavailable,
    Progress,
    SourceRefused,
    SourceUnavailable,
    Unlisted,
)

SEARCH_STEP: Final = 50_000
"""Message numbers per request, so that the response fits in a line."""
MAX_STEPS: Final = 2000
FETCH_STEP: Final = 200
PIECE_BYTES: Final = 500_000
_SUBJECT: Final = "BODY.PEEK[HEADER.FIELDS (SUBJECT)]<0.2000>"
_MAX_NAME: Final = 100


@contextmanager
def connect(options: ImapOptions) -> Iterator["ImapSource"]:
    """Connect and sign in."""
    with open_connection(options) as connection:
        yield ImapSource(options, connection)


class ImapSource:
    """A connection and its state: mailboxes, access lists, and which mailbox is selected."""

    def __init__(self, options: ImapOptions, connection: Connection) -> None:
        self._options, self._connection = options, connection
        self._selected = ("", 0)
        self._rights: dict[str, list[MailboxRight | None] | None] = {}
        with connection.limit_response():
            self._is_dovecot = connection.has_capability("ID") and _names_dovecot(connection.id_())

    def check(self) -> Iterator[CheckStep]:
        """Test the listing, the access lists, and the first message. The sign-in has succeeded already."""
        warning = CodedMessage("source_unencrypted") if self._options.security == Security.NONE else ""
        yield CheckStep(CodedMessage("source_step_sign_in"), warning=warning)
        listed = CodedMessage("source_step_list")
        try:
            mailboxes = self._list_mailboxes()
            first = find_first(self.list_changes(""))
        except (SourceUnavailable, SourceRefused) as error:
            yield CheckStep(listed, problem=error.message)
            return
        yield CheckStep(listed, ", ".join(mailbox.name for mailbox in mailboxes[:10]))
        yield self._check_access(mailboxes)
        yield check_reading(self, first, lambda item: item.name)

    def _check_access(self, mailboxes: list[Mailbox]) -> CheckStep:
        unknown = [access.unknown for each in mailboxes if (access := self._find_access(each)).unknown]
        return CheckStep(CodedMessage("source_step_access_lists"), warning=unknown[0] if unknown else "")

    def list_changes(self, cursor: str) -> Iterator[Change]:
        """Yield messages that arrived and that are gone. Messages marked as deleted count as gone."""
        before, seen = read_cursor(cursor), Seen()
        mailboxes = {mailbox.name: mailbox for mailbox in self._list_mailboxes()}
        if before and not mailboxes:
            raise SourceUnavailable(CodedMessage("source_empty"))
        for name in before.keys() - mailboxes.keys():
            yield from self._list_gone(name, *before[name])
        for name, mailbox in mailboxes.items():
            yield Progress()
            try:
                validity, numbers = self._search(mailbox)
            except _MailboxFailed as error:
                yield Unlisted(mailbox.container, error.message)
                seen |= {name: before[name]} if name in before else {}
                continue
            yield from self._compare(mailbox, before.get(name), validity, numbers)
            seen[name] = (validity, pack(numbers))
        yield Complete(write_cursor(seen), full=not cursor)

    def _compare(
        self, mailbox: Mailbox, before: tuple[int, str] | None, validity: int, numbers: set[int]
    ) -> Iterator[Change]:
        known = unpack(before[1]) if before and before[0] == validity else set()
        if before and before[0] != validity:
            yield from self._list_gone(mailbox.name, *before)
        yield from (Gone(message_id(mailbox.name, validity, uid)) for uid in sorted(known - numbers))
        new = sorted(numbers - known)
        for start in range(0, len(new), FETCH_STEP):
            yield Progress()
            yield from self._fetch_items(mailbox, validity, new[start : start + FETCH_STEP])

    def _list_gone(self, name: str, validity: int, numbers: str) -> Iterator[Change]:
        yield from (Gone(message_id(name, validity, uid)) for uid in sorted(unpack(numbers)))

    def _list_mailboxes(self) -> list[Mailbox]:
        with self._connection.limit_response():
            namespaces = self._list_namespaces()
            rows = self._connection.list_folders()
        found = []
        for flags, delimiter, name in rows:
            if SKIPPED_FLAGS & {flag.lower() for flag in flags}:
                continue
            owner = find_owner(name, self._options.username, namespaces)
            mailbox = Mailbox(name, (delimiter or b"").decode(), owner)
            if is_chosen(mailbox, self._options.chosen_mailboxes):
                found.append(mailbox)
        return found

    def _list_namespaces(self) -> dict[str, tuple[tuple[str, str], ...]]:
        if not self._connection.has_capability("NAMESPACE"):
            return {"others": (), "shared": ()}
        answer = self._connection.namespace()
        return {"others": tuple(answer.other or ()), "shared": tuple(answer.shared or ())}

    def _search(self, mailbox: Mailbox) -> tuple[int, set[int]]:
        """Return the UIDVALIDITY of a mailbox and the UIDs of its messages."""
        answer = self._select(mailbox.name)
        validity, after = self._selected[1], int(answer.get(b"UIDNEXT", 1))
        found: set[int] = set()
        if not answer.get(b"EXISTS"):
            return validity, found
        if after > SEARCH_STEP * MAX_STEPS:
            raise _MailboxFailed(CodedMessage("source_answer_endless", server=self._options.host))
        for start in range(1, after, SEARCH_STEP):
            span = f"{start}:{min(start + SEARCH_STEP - 1, after - 1)}"
            with self._connection.limit_response():
                found |= {
                    uid for uid in self._connection.search(["UID", span, "UNDELETED"]) if start <= uid < after
                }
        return validity, found

    def _select(self, name: str) -> Any:
        with self._connection.limit_response():
            try:
                answer = self._connection.select_folder(name, readonly=True)
            except self._connection.AbortError:
                raise
            except IMAPClientError as error:
                message = CodedMessage("source_folder_failed", name=name, reason=str(error)[:300])
                raise _MailboxFailed(message) from error
            self._selected = (name, int(answer[b"UIDVALIDITY"]))
        return answer

    def _is_selected(self, name: str, validity: int) -> bool:
        """Select a mailbox unless it is selected, and return whether its numbers still mean the same."""
        if self._selected != (name, validity):
            self._select(name)
        return self._selected == (name, validity)

    def _fetch_items(self, mailbox: Mailbox, validity: int, numbers: list[int]) -> Iterator[Item]:
        if not self._is_selected(mailbox.name, validity):  # replaced meanwhile by another of this name
            reason = f"UIDVALIDITY {validity}"
            raise SourceUnavailable(CodedMessage("source_folder_failed", name=mailbox.name, reason=reason))
        with self._connection.limit_response():
            rows = self._connection.fetch(numbers, ["INTERNALDATE", _SUBJECT])
        for uid in numbers:
            row = rows.get(uid)
            if row:
                yield self._build_item(mailbox, validity, uid, row)

    def _build_item(self, mailbox: Mailbox, validity: int, uid: int, row: Any) -> Item:
        header = next((value for key, value in row.items() if key.startswith(b"BODY[HEADER")), b"")
        subject = _read_subject(header)
        received = row.get(b"INTERNALDATE")
        return Item(
            id=message_id(mailbox.name, validity, uid),
            name=f"{_file_name(subject) or uid}.eml",
            uri=message_uri(self._options.host, mailbox.name, validity, uid),
            version="1",
            container=mailbox.container,
            title=subject,
            modified=received.astimezone(UTC) if received else None,
        )

    @contextmanager
    def open(self, item: Item) -> Iterator[BinaryIO]:
        """Open a message, which is fetched in pieces and not marked as read."""
        found = parse_uri(item.uri)
        if not found or not item.uri.startswith(f"imap://{self._options.host}/"):
            raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
        name, validity, uid = found
        try:
            is_selected = self._is_selected(name, validity)
        except _MailboxFailed as error:
            raise ItemUnavailable(error.message) from error
        if not is_selected:
            raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
        yield io.BufferedReader(ItemStream(self._read_pieces(item, uid), lambda: None))

    def _read_pieces(self, item: Item, uid: int) -> Iterator[bytes]:
        """Yield the message, without relying on the size that the server announced."""
        offset = 0
        while True:
            with self._connection.limit_response():
                rows = self._connection.fetch([uid], [f"BODY.PEEK[]<{offset}.{PIECE_BYTES}>"])
            row = rows.get(uid, {})
            piece = next((value for key, value in row.items() if key.startswith(b"BODY[]")), None)
            if piece is None:
                raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
            if piece:
                yield piece
            if len(piece) < PIECE_BYTES:
                return
            offset += len(piece)

    def list_access(self, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]:
        """Yield who may read the mailbox of each message."""
        mailboxes = {mailbox.name: mailbox for mailbox in self._list_mailboxes()}
        found: dict[str, SourceAccess] = {}
        for item in items:
            parsed = parse_uri(item.uri)
            mailbox = mailboxes.get(parsed[0]) if parsed else None
            if mailbox:
                if mailbox.name not in found:
                    found[mailbox.name] = self._find_access(mailbox)
                yield item.id, found[mailbox.name]

    def _find_access(self, mailbox: Mailbox) -> SourceAccess:
        rights = self._read_rights(mailbox)
        if rights is None:
            return SourceAccess(unknown=CodedMessage("source_no_access_list", name=mailbox.name))
        return build_access(
            rights, owner=mailbox.owner, groups=self._options.members.keys(), is_dovecot=self._is_dovecot
        )

    def _read_rights(self, mailbox: Mailbox) -> list[MailboxRight | None] | None:
        """Return the access list of a mailbox, None if the server doesn't show it."""
        with self._connection.limit_response():
            if not self._connection.has_capability("ACL"):
                return None
            try:
                rows = self._connection.getacl(mailbox.name)
            except self._connection.AbortError:
                raise
            except IMAPClientError:
                return None
        return [
            parse_right(
                name.decode("utf-8", "replace"),
                rights.decode("ascii", "replace"),
                is_dovecot=self._is_dovecot,
            )
            for name, rights in rows
        ]

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        """Yield everyone named by an access list or the options. IMAP has no lists of people."""
        people: set[str] = set()
        for mailbox in self._list_mailboxes():
            people |= {mailbox.owner} if mailbox.owner else set()
            rights = self._read_rights(mailbox) or []
            people |= {right.name for right in rights if right and right.specificity == Specificity.USER}
        members = self._options.members
        people |= {name for names in members.values() for name in names}
        for name in sorted(people):
            is_address = "@" in name
            email, directory_id = (name, "") if is_address else ("", name)
            yield SourcePerson(person_id(name), name, email=email, directory_id=directory_id)
        for name, names in members.items():
            identity = AUTHENTICATED if name == AUTHENTICATED else group_id(name)
            yield SourceGroup(identity, name, tuple(map(person_id, names)))


class _MailboxFailed(SourceRefused):
    """One mailbox can't be read. Others can."""


def _names_dovecot(answer: Any) -> bool:
    parts = [part for row in answer or () for part in (row if isinstance(row, tuple) else (row,))]
    return b"Dovecot" in parts


def _read_subject(header: bytes) -> str:
    try:
        subject = str(message_from_bytes(header, policy=policy.default)["Subject"] or "")
    except (ValueError, LookupError, AttributeError, IndexError, TypeError):  # bugs in email for odd headers
        subject = header.partition(b":")[2].decode("utf-8", "replace")
    return " ".join(subject.split())[:300]


def _file_name(subject: str) -> str:
    return "".join("-" if char in '/\\:*?"<>|' or not char.isprintable() else char for char in subject)[
        :_MAX_NAME
    ].strip(" .")
