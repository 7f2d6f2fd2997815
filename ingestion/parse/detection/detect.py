"""File type detection: decides the media type (MIME type) of an upload by its content.

The name distinguishes text formats, and must not contradict the content.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

import filetype

from ingestion.parse.core import failures, formats
from ingestion.parse.core.formats import BY_ENDING, Container
from ingestion.parse.detection import containers, mail_headers, markup
from ingestion.parse.text import cleaning

_HEAD: Final = 8192
_PDF_HEADER_WITHIN: Final = 1024
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PROGRAM: Final = (b"MZ", b"\x7fELF")
_PICTURES: Final = {
    b"\x89PNG\r\n\x1a\n": formats.PNG,
    b"\xff\xd8\xff": formats.JPEG,
    b"II*\x00": formats.TIFF,
    b"MM\x00*": formats.TIFF,
    b"II+\x00": formats.TIFF,
    b"MM\x00+": formats.TIFF,
}
_ZIPPED: Final = formats.in_container(Container.ZIP)
_OLE_BASED: Final = formats.in_container(Container.OLE)
_ENCRYPTABLE: Final = frozenset((formats.DOCX, formats.PPTX, formats.XLSX))
_TEXTS: Final = formats.in_container(Container.PLAIN_TEXT)
_ALSO_FITS: Final[Mapping[str, frozenset[str]]] = {
    formats.MARKDOWN: frozenset((formats.HTML, formats.SVG)),  # Markdown may be HTML from end to end
    formats.HTML: frozenset((formats.SVG,)),
    formats.XML: frozenset((formats.SVG,)),
}
"""By the format that a name claims: what else the content may look like."""


def detect(path: Path, filename: str) -> str:
    """Return the media type. Raises DocumentRejected if it is unsupported or contradicts the name."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    if not head:
        raise failures.empty_file()
    suffix = PurePosixPath(filename.lower()).suffix
    if head.startswith(_ZIP):
        return _zip(path, suffix)
    if head.startswith(_OLE):
        return _ole(path, suffix)
    if _is_pdf(head, suffix):
        return _check_suffix(formats.PDF, suffix)
    if picture := _starting(head, _PICTURES):
        return _check_suffix(picture, suffix)
    if cleaning.looks_binary(head):
        return _check_suffix(_binary(head), suffix)
    return _text(path, head, suffix)


def _check_suffix(media_type: str, suffix: str) -> str:
    """Raise DocumentRejected if the extension is wrong; unknown extensions are accepted."""
    claimed = BY_ENDING.get(suffix)
    if claimed and claimed.media_type != media_type:
        raise failures.mismatch(suffix, formats.name_of(media_type))
    if media_type not in formats.BY_MEDIA_TYPE:
        raise failures.unsupported(formats.name_of(media_type), suffix)
    return media_type


def _starting(head: bytes, signatures: Mapping[bytes, str]) -> str | None:
    return next((kind for start, kind in signatures.items() if head.startswith(start)), None)


def _is_pdf(head: bytes, suffix: str) -> bool:
    """Return whether this is a PDF. Junk before the header is common; a text about PDF may mention it."""
    claimed = BY_ENDING.get(suffix)
    if claimed is None or claimed.media_type == formats.PDF:
        return b"%PDF-" in head[:_PDF_HEADER_WITHIN]
    return head.lstrip().startswith(b"%PDF-")


def _zip(path: Path, suffix: str) -> str:
    media_type = containers.zip_type(path)
    if media_type is None:
        raise _broken(suffix, _ZIPPED, formats.ZIP)
    return _check_suffix(media_type, suffix)


def _ole(path: Path, suffix: str) -> str:
    claimed = BY_ENDING.get(suffix)
    media_type = containers.ole_type(path)
    may_be_office = claimed is None or claimed.media_type in _ENCRYPTABLE | _OLE_BASED
    if media_type in (None, formats.OLE) and may_be_office and containers.is_encrypted(path):
        raise failures.protected(claimed.noun if claimed else "Office file")
    if media_type is None:
        raise _broken(suffix, _OLE_BASED, formats.OLE)
    return _check_suffix(media_type, suffix)


def _broken(suffix: str, expected: frozenset[str], container: str) -> Exception:
    """Guess the type of an unreadable container by its name."""
    claimed = BY_ENDING.get(suffix)
    if claimed is None:
        return failures.damaged("ZIP archive" if container == formats.ZIP else "Office file")
    if claimed.media_type in expected:
        return failures.damaged(claimed.noun)
    return failures.mismatch(suffix, formats.name_of(container))


def _binary(head: bytes) -> str:
    if head.startswith(_PROGRAM):
        return "application/x-executable"
    guess = filetype.guess(head)
    return str(guess.mime) if guess else formats.BINARY


def _text(path: Path, head: bytes, suffix: str) -> str:
    sample = cleaning.decode(head)
    seen = markup.kind_of(sample)
    claimed = BY_ENDING.get(suffix)
    if claimed is None:
        return _check_suffix(seen or _guess_text_type(path, sample), suffix)
    if seen == claimed.media_type or seen in _ALSO_FITS.get(claimed.media_type, ()):
        return claimed.media_type
    if seen == formats.HTML and claimed.media_type == formats.XML:
        return formats.HTML  # XHTML is both
    if seen is None and _may_be(claimed.media_type, sample):
        return claimed.media_type
    return _check_suffix(seen or formats.PLAIN, suffix)


def _may_be(claimed: str, sample: str) -> bool:
    """Return whether text without a signature can be of the claimed type."""
    if claimed in (formats.JSON, formats.JSON_LINES):
        return markup.starts_like_json(sample)
    if claimed == formats.EML:
        return mail_headers.are_in(sample)
    if claimed == formats.XML:
        return sample.lstrip().startswith("<")
    return claimed in _TEXTS


def _guess_text_type(path: Path, sample: str) -> str:
    if mail_headers.are_plain_in(sample):
        return formats.EML
    if sample.lstrip().startswith(("{", "[")) and markup.is_json(cleaning.decode(path.read_bytes())):
        return formats.JSON
    return formats.PLAIN
