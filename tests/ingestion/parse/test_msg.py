"""Outlook's file format, on storages put together here."""

import struct
from datetime import UTC, datetime
from email.parser import BytesParser

import pytest
from oxmsg.domain import constants as pid
from oxmsg.storage import Storage, Stream

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse.mail import mime, msg
from ingestion.parse.mail.parts import Body

Value = str | bytes | int | datetime
TYPES = {str: 0x001F, bytes: 0x0102, int: 0x0003, datetime: 0x0040}
EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
MAIL, ATTACHED_MAIL, OTHER = 32, 24, 8


def storage(name: str, header: int, values: dict[int, Value], *inside: Storage) -> Storage:
    """Return a storage as olefile would have read it."""
    entries, streams = b"", []
    for key, value in values.items():
        kind = TYPES[type(value)]
        entries += struct.pack("<HHI", kind, key, 0) + _inline(value)
        if isinstance(value, str | bytes):
            data = value.encode("utf-16-le") if isinstance(value, str) else value
            streams.append(Stream(f"{name}/__substg1.0_{key:04X}{kind:04X}", data))
    properties = Stream(f"{name}/__properties_version1.0", bytes(header) + entries)
    return Storage(name, (properties, *streams), inside)


def _inline(value: Value) -> bytes:
    if isinstance(value, int):
        return struct.pack("<q", value)
    if isinstance(value, datetime):
        return struct.pack("<q", int((value - EPOCH).total_seconds() * 10**7))
    return bytes(8)


def recipient(number: int, kind: int, name: str, address: str) -> Storage:
    values: dict[int, Value] = {0x0C15: kind, pid.PID_DISPLAY_NAME: name, pid.PID_EMAIL_ADDRESS: address}
    return storage(f"__recip_version1.0_#{number:08X}", OTHER, values)


def attachment(values: dict[int, Value], *inside: Storage, number: int = 0) -> Storage:
    return storage(f"__attach_version1.0_#{number:08X}", OTHER, values, *inside)


PEOPLE = (
    recipient(0, 1, "Bob", "bob@example.org"),
    recipient(1, 2, "Eve", "/O=EXCHANGE/CN=EVE"),
    recipient(2, 3, "Mallory", "mallory@example.org"),
)
SAID: dict[int, Value] = {
    pid.PID_SUBJECT: "Budget",
    pid.PID_SENDER_NAME: "Ada",
    pid.PID_SENDER_EMAIL_ADDRESS: "ada@example.org",
    pid.PID_CLIENT_SUBMIT_TIME: datetime(2026, 3, 3, 8, 5, tzinfo=UTC),
    pid.PID_BODY: "Plain words.",
}


def test_unsent_outlook_mail_has_a_header() -> None:
    mail = msg.mail_of(storage("", MAIL, SAID, *PEOPLE))
    assert mail.head == {
        "From": "Ada <ada@example.org>",
        "To": "Bob <bob@example.org>",
        "Cc": "Eve",
        "Date": "Tue, 03 Mar 2026 08:05:00 +0000",
        "Subject": "Budget",
    }
    assert mail.date == "2026-03-03T08:05:00+00:00"
    assert mail.bodies == (Body("Plain words."),)


def test_outlook_html_is_preferred_and_decoded_as_declared() -> None:
    page = "<p>Grüße</p>"
    values = {**SAID, pid.PID_HTML: page.encode("cp1252"), pid.PID_INTERNET_CODEPAGE: 1252}
    assert msg.mail_of(storage("", MAIL, values)).bodies == (Body(page, is_html=True, plain="Plain words."),)


def test_unknown_code_page_is_guessed() -> None:
    values = {**SAID, pid.PID_HTML: "<p>Grüße</p>".encode(), pid.PID_INTERNET_CODEPAGE: 99999}
    assert msg.mail_of(storage("", MAIL, values)).bodies[0].text == "<p>Grüße</p>"


def test_inline_images_and_embedded_objects_are_not_attachments() -> None:
    picture: dict[int, Value] = {
        pid.PID_ATTACH_MIME_TAG: "image/png",
        pid.PID_ATTACH_FLAGS: 4,
        pid.PID_ATTACH_CONTENT_ID: "logo",
        pid.PID_ATTACH_DATA_BINARY: b"x",
    }
    file: dict[int, Value] = {pid.PID_ATTACH_LONG_FILENAME: "a.pdf", pid.PID_ATTACH_DATA_BINARY: b"%PDF"}
    chart = attachment({}, Storage("__substg1.0_3701000D", (Stream("CONTENTS", b"x"),), ()), number=2)
    mail = msg.mail_of(storage("", MAIL, SAID, attachment(picture), attachment(file, number=1), chart))
    assert [(each.name, each.read()) for each in mail.attachments] == [("a.pdf", b"%PDF")]
    assert [each.code for each in mail.left_out] == ["skipped_images", "skipped_objects"]


def test_text_only_in_rtf_is_reported() -> None:
    values: dict[int, Value] = {pid.PID_SUBJECT: "Budget", pid.PID_RTF_COMPRESSED: b"LZFu"}
    assert [each.code for each in msg.mail_of(storage("", MAIL, values)).left_out] == ["skipped_rtf_texts"]
    assert not msg.mail_of(storage("", MAIL, {**values, pid.PID_BODY: "Plain words."})).left_out


def nested(subject: str, *inside: Storage) -> Storage:
    values: dict[int, Value] = {
        **SAID, pid.PID_SUBJECT: subject, pid.PID_HTML: b"<p>Rich.</p>", pid.PID_INTERNET_CODEPAGE: 65001,
    }  # fmt: skip
    return attachment({}, storage("__substg1.0_3701000D", ATTACHED_MAIL, values, *inside))


def test_nested_outlook_mail_is_a_file_with_its_attachments() -> None:
    file: dict[int, Value] = {
        pid.PID_ATTACH_LONG_FILENAME: "Büro 1.pdf",
        pid.PID_ATTACH_DATA_BINARY: b"\0\1",
    }
    outer = msg.mail_of(storage("", MAIL, SAID, nested("Größe: 100 €", *PEOPLE, attachment(file))))
    [attached] = outer.attachments
    assert attached.name == "Größe: 100 €.eml"
    assert attached.read() == attached.read(), "the same bytes each time, or each time would be a new version"
    inner = mime.mail_of(BytesParser(policy=mime.POLICY).parsebytes(attached.read()))
    assert inner.head["Subject"] == "Größe: 100 €"
    assert inner.head["To"] == "Bob <bob@example.org>"
    assert inner.bodies == (Body("<p>Rich.</p>", is_html=True, plain="Plain words."),)
    assert [(each.name, each.read()) for each in inner.attachments] == [("Büro 1.pdf", b"\0\1")]


def test_deeply_nested_outlook_mail_is_rejected() -> None:
    whole = nested("Innermost")
    for _ in range(20):
        whole = nested("Outer", whole)
    with pytest.raises(DocumentRejected) as caught:
        msg.mail_of(storage("", MAIL, SAID, whole)).attachments[0].read()
    assert caught.value.reason is Rejection.DAMAGED_FILE


def test_encrypted_outlook_mail_is_reported() -> None:
    with pytest.raises(DocumentRejected) as caught:
        msg.mail_of(storage("", MAIL, {**SAID, pid.PID_MESSAGE_CLASS: "IPM.Note.SMIME"}))
    assert caught.value.reason is Rejection.PASSWORD_PROTECTED


def test_unreadable_mail_property_is_ignored() -> None:
    whole = storage("", MAIL, SAID)
    whole.streams = tuple(stream for stream in whole.streams if not stream.path.endswith("1000001F"))
    mail = msg.mail_of(whole)
    assert (mail.head["Subject"], mail.bodies) == ("Budget", ())
