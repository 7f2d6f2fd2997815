"""Embedded files: mail attachments and archive members. Runs in the child process."""

from pathlib import Path
from typing import Final

from ingestion.parse.archives import embedded_names, zip_listing
from ingestion.parse.core import failures, formats
from ingestion.parse.core.limits import Limits
from ingestion.parse.mail import mime, msg
from ingestion.parse.mail.parts import Attachment

_ZIP: Final = b"PK"
_OLE: Final = b"\xd0\xcf\x11\xe0"


def names(path: Path, media_type: str, limits: Limits) -> list[str]:  # noqa: ARG001
    """Return the unique names of the embedded files; `read` takes their index."""
    match media_type:
        case formats.ZIP:
            return [member.name for member in zip_listing.members(path)]
        case formats.EML | formats.MSG:
            return embedded_names.make_unique([_file_name(each.name) for each in _attachments(path)])
        case _:
            return []


def read(path: Path, filename: str, part: int, limits: Limits) -> bytes:  # noqa: ARG001
    """Read an embedded file. Raises DocumentRejected if it is damaged or exceeds `limits.part_bytes`."""
    if _starts_with(path, _ZIP):
        return zip_listing.read(path, part, limits.part_bytes)
    found = _attachments(path)
    if part >= len(found):
        raise failures.damaged("email")
    content = found[part].read()
    if len(content) > limits.part_bytes:
        raise failures.part_too_large(limits.part_bytes)
    return content


def _attachments(path: Path) -> tuple[Attachment, ...]:
    return (msg.load(path) if _starts_with(path, _OLE) else mime.load(path)).documents


def _starts_with(path: Path, start: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(start)) == start


def _file_name(name: str) -> str:
    """Return the last component: senders may use a path as name."""
    parts = [part.strip() for part in name.replace("\\", "/").split("/")]
    return next((part for part in reversed(parts) if part.strip(". ")), "attachment")
