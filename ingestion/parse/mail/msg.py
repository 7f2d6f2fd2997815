"""Outlook's mail format (MSG)."""

import struct
from collections.abc import Callable, Iterator
from datetime import datetime
from email.parser import HeaderParser
from email.utils import format_datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, TypeVar

from olefile import OleFileIO
from olefile.olefile import OleFileError
from oxmsg.domain import constants as pid
from oxmsg.domain import encodings
from oxmsg.domain.model import (
    ATTACH_HDR_OFFSET,
    MSG_HDR_OFFSET,
    RECIP_HDR_OFFSET,
    UnrecognizedCodePageError,
    UnsupportedEncodingError,
)
from oxmsg.properties import Properties
from oxmsg.storage import Storage

from ingestion.parse.core import failures
from ingestion.parse.mail import embedded, mime
from ingestion.parse.mail.parts import PICTURE, Attachment, Body, LeftOut, Mail
from ingestion.parse.text import charsets
from ingestion.parse.text.cleaning import clean

T = TypeVar("T")

_BROKEN: Final = (
    OleFileError, OSError, KeyError, ValueError, IndexError, TypeError, AttributeError, OverflowError,
    struct.error, UnrecognizedCodePageError, UnsupportedEncodingError,
)  # fmt: skip
_ATTACHED_HDR_OFFSET: Final = 24
_ATTACHED_MAIL: Final = "__substg1.0_3701000D"
_ENCRYPTED: Final = "ipm.note.smime"
_SIGNED: Final = "multipartsigned"
_SHOWN_IN_TEXT: Final = 4
_RECIPIENT_KIND: Final = 0x0C15
_KINDS: Final = {1: "To", 2: "Cc"}
_DEEPEST: Final = 8
_USUAL: Final = "cp1252"


def load(path: Path) -> Mail:
    """Parse a mail. Raises DocumentRejected if the file is damaged or the mail encrypted."""
    about = path.stat()
    return _parse_mail(path, about.st_ino, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=1)
def _parse_mail(path: Path, *_: int) -> Mail:
    """Parse a mail, cached for the requests for its attachments."""
    try:
        with OleFileIO(str(path)) as ole:
            root = Storage.from_ole(ole)
        return mail_of(root)
    except _BROKEN as error:
        raise failures.damaged("Outlook email") from error


def mail_of(storage: Storage, offset: int = MSG_HDR_OFFSET, *, depth: int = 0) -> Mail:
    own = _Values(storage, offset)
    kind = own.text(pid.PID_MESSAGE_CLASS).lower()
    if kind.startswith(_ENCRYPTED) and not kind.endswith(_SIGNED):
        raise failures.protected("email")
    sent = own.when(pid.PID_CLIENT_SUBMIT_TIME) or own.when(pid.PID_MESSAGE_DELIVERY_TIME)
    headers = _headers(own)
    people = _recipients(storage)
    head = {
        "From": mime.header(headers, "From") or _sender(own),
        "To": mime.header(headers, "To") or people["To"] or own.text(pid.PID_DISPLAY_TO),
        "Cc": mime.header(headers, "Cc") or people["Cc"] or own.text(pid.PID_DISPLAY_CC),
        "Date": mime.header(headers, "Date") or (format_datetime(sent) if sent else ""),
        "Subject": own.text(pid.PID_SUBJECT) or mime.header(headers, "Subject"),
    }
    found = list(_attachments(storage, depth))
    return Mail(
        head={name: " ".join(line.split()) for name, line in head.items() if line.strip()},
        date=mime.iso(head["Date"]),
        bodies=_bodies(own),
        attachments=tuple(part for part in found if isinstance(part, Attachment)),
        left_out=tuple(part for part in found if isinstance(part, LeftOut)) + _unread_body(own),
        is_from_list=mime.is_from_list(headers),
    )


class _Properties(Properties):
    """Properties that remain readable despite an unknown code page."""

    @cached_property
    def body_encoding(self) -> str:
        return self._read_encoding(lambda: super(_Properties, self).body_encoding)

    @cached_property
    def _str_prop_encoding(self) -> str:
        return self._read_encoding(lambda: super(_Properties, self)._str_prop_encoding)

    @staticmethod
    def _read_encoding(encoding: Callable[[], str]) -> str:
        try:
            return encoding()
        except (UnrecognizedCodePageError, UnsupportedEncodingError):
            return _USUAL


class _Values:
    """Properties of a mail, recipient or attachment. Unreadable ones count as absent."""

    def __init__(self, storage: Storage, offset: int) -> None:
        self._storage = storage
        self._found = _Properties(storage, properties_header_offset=offset)

    def text(self, name: int) -> str:
        return clean(self._try_read(self._found.str_prop_value, name) or "").strip("\n")

    def data(self, name: int) -> bytes:
        return self._try_read(self._found.binary_prop_value, name) or b""

    def when(self, name: int) -> datetime | None:
        found = self._try_read(self._found.date_prop_value, name)
        return found if isinstance(found, datetime) else None

    def number(self, name: int) -> int | None:
        found = self._try_read(self._found.int_prop_value, name)
        return found if isinstance(found, int) else None

    def html(self) -> str:
        if data := self.data(pid.PID_HTML):
            return charsets.decode(data, self._charset())
        return self.text(pid.PID_BODY_HTML)

    def _charset(self) -> str | None:
        page = self.number(pid.PID_INTERNET_CODEPAGE)
        try:
            return None if page is None else encodings.encoding_from_codepage(page)
        except (UnrecognizedCodePageError, UnsupportedEncodingError):
            return None

    def _try_read(self, read: Callable[[int], T | None], name: int) -> T | None:
        try:
            return read(name)
        except _BROKEN:
            return None


def _headers(own: _Values) -> mime.Part:
    """Return the internet headers; empty for mails that never left the organisation."""
    return HeaderParser(policy=mime.POLICY).parsestr(own.text(pid.PID_TRANSPORT_MESSAGE_HEADERS))


def _sender(own: _Values) -> str:
    name = own.text(pid.PID_SENDER_NAME) or own.text(pid.PID_SENT_REPRESENTING_NAME)
    address = own.text(pid.PID_SENDER_SMTP_ADDRESS) or own.text(pid.PID_SENDER_EMAIL_ADDRESS)
    return _person(name, address)


def _recipients(storage: Storage) -> dict[str, str]:
    found: dict[str, list[str]] = {"To": [], "Cc": []}
    for each in storage.iter_recipient_storages():
        own = _Values(each, RECIP_HDR_OFFSET)
        kind = _KINDS.get(own.number(_RECIPIENT_KIND) or 0)
        address = own.text(pid.PID_SMTP_ADDRESS) or own.text(pid.PID_EMAIL_ADDRESS)
        if kind:
            found[kind].append(_person(own.text(pid.PID_DISPLAY_NAME), address))
    return {kind: ", ".join(filter(None, people)) for kind, people in found.items()}


def _person(name: str, address: str) -> str:
    """Format a person without internal Exchange addresses ("/O=...")."""
    if "@" not in address or address == name:
        return name or address
    return f"{name} <{address}>" if name else address


def _bodies(own: _Values) -> tuple[Body, ...]:
    html, plain = own.html(), own.text(pid.PID_BODY)
    if html.strip():
        return (Body(html, is_html=True, plain=plain),)
    return (Body(plain),) if plain.strip() else ()


def _unread_body(own: _Values) -> tuple[LeftOut, ...]:
    if _bodies(own) or not own.data(pid.PID_RTF_COMPRESSED):
        return ()
    return (LeftOut("skipped_rtf_texts"),)


def _attachments(storage: Storage, depth: int) -> Iterator[Attachment | LeftOut]:
    for each in storage.iter_attachment_storages():
        own = _Values(each, ATTACH_HDR_OFFSET)
        inner = next((one for one in each.storages if one.name == _ATTACHED_MAIL), None)
        if inner is not None and _is_mail(inner):
            yield _build_mail_attachment(inner, depth + 1)
        elif inner is not None:
            yield LeftOut("skipped_objects")
        elif _is_inline_picture(own):
            yield PICTURE
        else:
            yield Attachment(_name(own), lambda own=own: own.data(pid.PID_ATTACH_DATA_BINARY))  # type: ignore[misc]


def _is_mail(storage: Storage) -> bool:
    """Return whether an attachment is a mail rather than another program's object, such as a chart."""
    return any(stream.name == "__properties_version1.0" for stream in storage.streams)


def _is_inline_picture(own: _Values) -> bool:
    kind = own.text(pid.PID_ATTACH_MIME_TAG).lower()
    in_text = (own.number(pid.PID_ATTACH_FLAGS) or 0) & _SHOWN_IN_TEXT
    return kind.startswith("image/") and bool(in_text and own.text(pid.PID_ATTACH_CONTENT_ID))


def _name(own: _Values) -> str:
    name = own.text(pid.PID_ATTACH_LONG_FILENAME) or own.text(pid.PID_ATTACH_FILENAME)
    return name or own.text(pid.PID_DISPLAY_NAME) or f"attachment{own.text(pid.PID_ATTACH_EXTENSION)}"


def _build_mail_attachment(storage: Storage, depth: int) -> Attachment:
    subject = _Values(storage, _ATTACHED_HDR_OFFSET).text(pid.PID_SUBJECT)

    def read() -> bytes:
        if depth > _DEEPEST:
            raise failures.damaged("attached email")
        return embedded.serialize(mail_of(storage, _ATTACHED_HDR_OFFSET, depth=depth))

    return Attachment(f"{' '.join(subject.split())[:100] or 'mail'}.eml", read)
