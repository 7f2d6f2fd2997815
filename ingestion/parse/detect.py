"""What a file is, by its content; the name only tells text formats apart."""

import mmap
from pathlib import Path, PurePosixPath
from typing import Final

import filetype

from ingestion.parse import archive, reject, text

PDF: Final = "application/pdf"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HTML: Final = "text/html"
MARKDOWN: Final = "text/markdown"
CSV: Final = "text/csv"
PLAIN: Final = "text/plain"

BY_SUFFIX: Final = {
    ".pdf": PDF,
    ".docx": DOCX,
    ".html": HTML,
    ".htm": HTML,
    ".xhtml": HTML,
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".csv": CSV,
    ".tsv": CSV,
    ".txt": PLAIN,
    ".text": PLAIN,
}
_NAMED: Final = {PDF: "a PDF", DOCX: "a Word document (.docx)", HTML: "a web page (HTML)"}
_HEAD: Final = 8192
_PDF_HEADER_WITHIN: Final = 1024
_ZIP: Final = b"PK\x03\x04"
_EMPTY_ZIP: Final = b"PK\x05\x06"
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE: Final = "EncryptedPackage".encode("utf-16-le")
_HTML_STARTS: Final = ("<!doctype html", "<html")


def detect(path: Path, filename: str) -> str:
    """The media type. Raises DocumentRejected for what cannot be read or is not what it is called."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    if not head:
        raise reject.empty_file()
    suffix = PurePosixPath(filename.lower()).suffix
    if head.startswith((_ZIP, _EMPTY_ZIP)):
        return _zip(path, suffix)
    if head.startswith(_OLE):
        raise _ole(path, suffix)
    if _is_pdf(head, suffix):
        return _expect(PDF, suffix)
    if text.looks_binary(head):
        raise _binary(head, suffix)
    return _text(head, suffix)


def _expect(media_type: str, suffix: str) -> str:
    """A wrong ending is refused; one that says nothing is not."""
    if BY_SUFFIX.get(suffix, media_type) != media_type:
        raise reject.mismatch(suffix, _NAMED[media_type])
    return media_type


def _is_pdf(head: bytes, suffix: str) -> bool:
    """Readers accept junk before the header; a text about PDF may mention it."""
    if BY_SUFFIX.get(suffix, PDF) == PDF:
        return b"%PDF-" in head[:_PDF_HEADER_WITHIN]
    return head.lstrip().startswith(b"%PDF-")


def _zip(path: Path, suffix: str) -> str:
    members = archive.names(path)
    if members is None:
        raise (
            reject.damaged("Word document") if suffix == ".docx" else _other("a damaged ZIP archive", suffix)
        )
    if any(name.startswith("word/document") and name.endswith(".xml") for name in members):
        return _expect(DOCX, suffix)
    raise _other(_zip_kind(members), suffix)


def _zip_kind(members: list[str]) -> str:
    folders = {name.split("/", 1)[0] for name in members}
    kinds = {
        "xl": "an Excel workbook",
        "ppt": "a PowerPoint presentation",
        "META-INF": "an e-book or ODF file",
    }
    return next((kind for folder, kind in kinds.items() if folder in folders), "a ZIP archive")


def _ole(path: Path, suffix: str) -> Exception:
    """Old Office files, and new ones behind a password, come in the same container."""
    if suffix == ".docx" and _holds(path, _ENCRYPTED_PACKAGE):
        return reject.protected("Word document")
    return _other("an old Office file", suffix)


def _holds(path: Path, needle: bytes) -> bool:
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(needle) >= 0


def _binary(head: bytes, suffix: str) -> Exception:
    guess = filetype.guess(head)
    return _other(guess.mime if guess else "binary data", suffix)


def _other(content: str, suffix: str) -> Exception:
    return reject.mismatch(suffix, content) if suffix in BY_SUFFIX else reject.unsupported(suffix or content)


def _text(head: bytes, suffix: str) -> str:
    html = _is_html(head)
    if not suffix:
        return HTML if html else PLAIN
    media_type = BY_SUFFIX.get(suffix)
    if media_type is None:
        raise reject.unsupported(suffix)
    if media_type in (PDF, DOCX):
        raise reject.mismatch(suffix, "plain text")
    if html and media_type in (PLAIN, CSV):
        raise reject.mismatch(suffix, _NAMED[HTML])
    return media_type


def _is_html(head: bytes) -> bool:
    return text.decode(head).lstrip().lower().startswith(_HTML_STARTS)
