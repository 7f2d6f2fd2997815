import io
import zipfile
from pathlib import Path

import pytest

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse.detect import CSV, DOCX, HTML, MARKDOWN, PDF, PLAIN, detect

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return buffer.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "upload"


@pytest.mark.parametrize(
    ("content", "filename", "media_type"),
    [
        (b"%PDF-1.7\n", "report.pdf", PDF),
        (b"%PDF-1.7\n", "report", PDF),
        (b"%PDF-1.7\n", "REPORT.PDF", PDF),
        (b"junk before\n%PDF-1.7\n", "report.pdf", PDF),
        (b"The magic number is %PDF-1.7", "notes.txt", PLAIN),
        (archive("[Content_Types].xml", "word/document.xml"), "letter.docx", DOCX),
        (b"<!DOCTYPE html><p>hello", "page.html", HTML),
        (b"\xef\xbb\xbf  <html><p>hello", "page", HTML),
        (b"just a fragment", "page.htm", HTML),
        (b"# Hello", "README.md", MARKDOWN),
        (b"<html> in Markdown is Markdown", "README.markdown", MARKDOWN),
        (b"a,b\n1,2", "table.csv", CSV),
        (b"a\tb\n1\t2", "table.tsv", CSV),
        (b"hello", "README", PLAIN),
        ("hello".encode("utf-16"), "notes.txt", PLAIN),
    ],
)
def test_the_content_says_what_a_file_is(path: Path, content: bytes, filename: str, media_type: str) -> None:
    path.write_bytes(content)
    assert detect(path, filename) == media_type


@pytest.mark.parametrize(
    ("content", "filename", "reason"),
    [
        (b"", "a.txt", Rejection.EMPTY_FILE),
        (b"%PDF-1.7\n", "report.docx", Rejection.TYPE_MISMATCH),
        (b"%PDF-1.7\n", "report.txt", Rejection.TYPE_MISMATCH),
        (archive("word/document.xml"), "letter.pdf", Rejection.TYPE_MISMATCH),
        (archive("xl/workbook.xml"), "letter.docx", Rejection.TYPE_MISMATCH),
        (archive("a.txt"), "bundle.zip", Rejection.UNSUPPORTED_TYPE),
        (b"PK\x03\x04 and no more", "letter.docx", Rejection.DAMAGED_FILE),
        (b"MZ" + bytes(range(256)) * 4, "setup.txt", Rejection.TYPE_MISMATCH),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "photo.png", Rejection.UNSUPPORTED_TYPE),
        (b"<html><p>hello", "page.txt", Rejection.TYPE_MISMATCH),
        (b"no PDF at all", "report.pdf", Rejection.TYPE_MISMATCH),
        (b'{"a": 1}', "data.json", Rejection.UNSUPPORTED_TYPE),
        (OLE, "old.doc", Rejection.UNSUPPORTED_TYPE),
        (OLE, "old.docx", Rejection.TYPE_MISMATCH),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "secret.docx", Rejection.PASSWORD_PROTECTED),
    ],
)
def test_what_cannot_be_read_is_refused(path: Path, content: bytes, filename: str, reason: Rejection) -> None:
    path.write_bytes(content)
    with pytest.raises(DocumentRejected) as caught:
        detect(path, filename)
    assert caught.value.reason is reason
    assert caught.value.message.endswith(".")
