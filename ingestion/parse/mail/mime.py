"""Internet mail (RFC 5322 and MIME), tolerant of common errors."""

import base64
import binascii
import mimetypes
from collections.abc import Iterator, Sequence
from email.errors import MessageError
from email.generator import BytesGenerator
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from email.utils import parsedate_to_datetime
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeGuard

from ingestion.parse.core import failures
from ingestion.parse.mail import format_flowed
from ingestion.parse.mail.parts import PICTURE, Attachment, Body, LeftOut, Mail
from ingestion.parse.text import charsets, cleaning

HEAD: Final = ("From", "To", "Cc", "Date", "Subject")
_LIST_HEADERS: Final = ("list-id", "list-post", "list-unsubscribe", "mailing-list")
_ENVELOPES: Final = frozenset(("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"))
_SIGNATURES: Final = frozenset(
    ("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature")
)
_CALENDAR: Final = "text/calendar"
_UNREAD: Final = {
    "message/delivery-status": LeftOut("skipped_delivery_reports"),
    "message/external-body": LeftOut("skipped_external_attachments"),
    "message/partial": LeftOut("skipped_fragments"),
}
POLICY: Final = compat32.clone(max_line_length=0)  # unchanged: no header is folded again

Part: TypeAlias = "Message[str, str]"
Found: TypeAlias = Body | Attachment | LeftOut


def load(path: Path) -> Mail:
    """Parse a mail. Raises DocumentRejected if it is encrypted."""
    about = path.stat()
    return _parse_mail(path, about.st_ino, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=1)
def _parse_mail(path: Path, *_: int) -> Mail:
    """Parse a mail, cached for the requests for its attachments."""
    with path.open("rb") as stream:
        return mail_of(BytesParser(policy=POLICY).parse(stream))


def mail_of(message: Part) -> Mail:
    found = list(_parts(message))
    return Mail(
        head={name: line for name in HEAD if (line := header(message, name))},
        date=iso(header(message, "Date")),
        bodies=tuple(part for part in found if isinstance(part, Body)),
        attachments=tuple(part for part in found if isinstance(part, Attachment)),
        left_out=tuple(part for part in found if isinstance(part, LeftOut)),
        is_from_list=is_from_list(message),
    )


def header(message: Part, name: str) -> str:
    """Return a header decoded, cleaned and on one line. Repeated headers are joined."""
    values = (str(value) for key, value in message.raw_items() if key.lower() == name.lower())
    return ", ".join(filter(None, map(_decode_header, values)))


def _decode_header(value: str) -> str:
    raw = value.encode("utf-8", "surrogateescape")  # 8-bit characters are there as surrogates
    line = cleaning.decode(raw) if not value.isascii() else value
    return " ".join(cleaning.clean(_words(" ".join(line.split()))).split())


def _words(line: str) -> str:
    """Decode `=?charset?q?...?=` words; undecodable lines are returned unchanged."""
    if "=?" not in line:
        return line
    try:
        return "".join(_word(data, charset) for data, charset in decode_header(line))
    except (MessageError, binascii.Error, ValueError):
        return line


def _word(data: bytes | str, charset: str | None) -> str:
    if isinstance(data, str):
        return data
    return charsets.decode(data, charset) if charset else data.decode("raw-unicode-escape", "replace")


def is_from_list(message: Part) -> bool:
    return any(name in message for name in _LIST_HEADERS)


def iso(date: str) -> str:
    """Return the date in ISO 8601, or an empty string if it is invalid."""
    try:
        return parsedate_to_datetime(date).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""


def _parts(part: Part) -> Iterator[Found]:
    kind = part.get_content_type()
    if kind in _ENVELOPES and part.get_param("smime-type") != "signed-data":
        raise failures.protected("email")
    if kind in _SIGNATURES:
        return
    if kind in _UNREAD or _is_inline_picture(part, kind):
        yield _UNREAD.get(kind, PICTURE)
    elif kind == "message/rfc822" or not part.is_multipart():
        yield _body(part, kind) if _is_body(part, kind) else _attachment(part, kind)
    elif kind == "multipart/alternative":
        yield from _alternative(_inner(part))
    else:
        for other in _inner(part):
            yield from _parts(other)


def _inner(part: Part) -> list[Part]:
    found: Any = part.get_payload()
    return [other for other in found if isinstance(other, Message)] if isinstance(found, list) else []


def _is_body(part: Part, kind: str) -> bool:
    """Return whether a part is text, including a multipart without boundary."""
    if _is_attached(part):
        return False
    return kind in ("text/plain", "text/html", "text/enriched") or kind.startswith("multipart/")


def _is_attached(part: Part) -> bool:
    return _disposition(part) == "attachment" or bool(_filename(part))


def _is_inline_picture(part: Part, kind: str) -> bool:
    """Return whether an image is shown in the text, such as a logo: it has a content id."""
    return kind.startswith("image/") and _disposition(part) != "attachment" and "content-id" in part


def _disposition(part: Part) -> str:
    return str(part.get("content-disposition", "")).partition(";")[0].strip().lower()


def _body(part: Part, kind: str) -> Body:
    content = charsets.decode(_bytes(part), part.get_content_charset())
    if kind == "text/html":
        return Body(content, is_html=True)
    if str(part.get_param("format", "")).lower() == "flowed":
        content = format_flowed.join_lines(
            content, delete_space=str(part.get_param("delsp", "")).lower() == "yes"
        )
    return Body(content)


def _bytes(part: Part) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _alternative(parts: Sequence[Part]) -> Iterator[Found]:
    """Return the best alternative, and parts found in others, where some programs put attachments."""
    attached = [(part, _is_attached(part) and _is_single(part)) for part in parts]
    alternatives = [(part, list(_parts(part))) for part, is_attached in attached if not is_attached]
    best = _best([found for _, found in alternatives])
    yield from best
    files = [one for one in best if isinstance(one, Attachment)]
    file_ids, names = {id(one) for one in files}, {one.name for one in files}
    for part, found in alternatives:
        others = [one for one in found if isinstance(one, Attachment) and id(one) not in file_ids]
        if part.get_content_type() == _CALENDAR:
            yield from (LeftOut("skipped_events") for _ in others)
        elif not _is_single(part):  # one by itself is the text in another form, such as AMP
            yield from (one for one in others if one.name not in names)
    for part, is_attached in attached:
        if is_attached:
            yield from _parts(part)


def _is_single(part: Part) -> bool:
    return part.get_content_type() == "message/rfc822" or not part.is_multipart()


def _best(alternatives: list[list[Found]]) -> list[Found]:
    """Return the richest readable alternative: HTML, else text; the last one if there are several."""
    plain = [one for one in alternatives if any(isinstance(part, Body) for part in one)]
    rich = [one for one in plain if any(_is_rich(part) for part in one)]
    if not rich:
        return plain[-1] if plain else [part for one in alternatives for part in one]
    same = "\n\n".join(part.text for one in plain for part in one if _is_plain(part))
    return [Body(part.text, is_html=True, plain=same) if _is_rich(part) else part for part in rich[-1]]


def _is_rich(part: Found) -> TypeGuard[Body]:
    return isinstance(part, Body) and part.is_html


def _is_plain(part: Found) -> TypeGuard[Body]:
    return isinstance(part, Body) and not part.is_html


def _attachment(part: Part, kind: str) -> Attachment:
    if kind == "message/rfc822":
        return Attachment(_filename(part) or _mail_name(part), lambda: _serialize_attached_mail(part))
    name = _filename(part) or f"attachment{mimetypes.guess_extension(kind) or ''}"
    return Attachment(name, lambda: _bytes(part))


def _filename(part: Part) -> str:
    try:
        return _decode_header(part.get_filename() or "")
    except (ValueError, LookupError, TypeError):
        return ""


def _mail_name(part: Part) -> str:
    inner = _inner(part)
    return f"{(header(inner[0], 'Subject') if inner else '')[:100] or 'mail'}.eml"


def _serialize_attached_mail(part: Part) -> bytes:
    """Return an attached mail, also if encoded in base64 against the standard."""
    inner = _inner(part)
    if not inner:
        return _bytes(part)
    written = BytesIO()
    try:
        BytesGenerator(written, mangle_from_=False, policy=POLICY).flatten(inner[0])
        if str(part.get("content-transfer-encoding", "")).strip().lower() == "base64":
            return base64.b64decode(written.getvalue())
    except (MessageError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise failures.damaged("attached email") from error
    return written.getvalue()
