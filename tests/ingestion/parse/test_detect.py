import io
import zipfile
from pathlib import Path

import pytest

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse.core.formats import (
    CSV,
    DOC,
    DOCX,
    EML,
    EPUB,
    FORMATS,
    HTML,
    JPEG,
    JSON,
    JSON_LINES,
    MARKDOWN,
    MSG,
    ODS,
    ODT,
    ORG,
    PDF,
    PLAIN,
    PNG,
    PPT,
    PPTX,
    RST,
    RTF,
    TIFF,
    TSV,
    XLS,
    XLSX,
    XML,
    ZIP,
)
from ingestion.parse.detection.detect import detect
from tests.ingestion.parse.ole import ole

BROKEN_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
MAIL = b"Return-Path: <a@example.com>\nFrom: a@example.com\nSubject: Leave\n  from Monday\n\nHello."


def archive(*names: str, mimetype: str = "") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        if mimetype:
            file.writestr("mimetype", mimetype)
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
        (b"%PDF-1.7\n", "report.2024", PDF),
        (b"junk before\n%PDF-1.7\n", "report.pdf", PDF),
        (b"The magic number is %PDF-1.7", "notes.txt", PLAIN),
        (archive("[Content_Types].xml", "word/document.xml"), "letter.docx", DOCX),
        (archive("[Content_Types].xml", "word/document.xml"), "letter", DOCX),
        (archive("[Content_Types].xml", "ppt/presentation.xml"), "talk.pptx", PPTX),
        (archive("[Content_Types].xml", "xl/workbook.xml"), "table.xlsx", XLSX),
        (archive("[Content_Types].xml", "xl/workbook.bin"), "table.xlsm", XLSX),
        (archive("content.xml", mimetype=ODT), "letter.odt", ODT),
        (archive("content.xml", mimetype=f"{ODT}-template"), "letter.ott", ODT),
        (archive("content.xml", mimetype=ODS), "table.ods", ODS),
        (archive("OEBPS/content.opf", mimetype=EPUB), "book.epub", EPUB),
        (archive("a.txt", mimetype="text/plain"), "bundle.zip", ZIP),
        (archive("a.txt"), "bundle.zip", ZIP),
        (archive(), "empty.zip", ZIP),
        (ole("WordDocument", "1Table"), "old.doc", DOC),
        (ole("PowerPoint Document"), "old.ppt", PPT),
        (ole("Workbook"), "old.xls", XLS),
        (ole("Book"), "older.xls", XLS),
        (ole("__properties_version1.0", "__substg1.0_0037001F"), "mail.msg", MSG),
        (ole("WordDocument"), "old", DOC),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "photo.png", PNG),
        (b"\xff\xd8\xff\xe0" + bytes(64), "photo.JPG", JPEG),
        (b"II*\x00" + bytes(64), "scan.tif", TIFF),
        (b"MM\x00*" + bytes(64), "scan", TIFF),
        (b"<!DOCTYPE html><p>hello", "page.html", HTML),
        (b"\xef\xbb\xbf  <html><p>hello", "page", HTML),
        (b"just a fragment", "page.htm", HTML),
        (b'<?xml version="1.0"?>\n<!-- a --><html xmlns="http://www.w3.org/1999/xhtml">', "page.xml", HTML),
        (b'<?xml version="1.0"?><factbook/>', "facts.xml", XML),
        (b"<factbook/>", "facts.xml", XML),
        ('<?xml version="1.0"?><factbook/>'.encode("utf-16"), "facts", XML),
        (b"<svg><text>hello</text></svg>", "drawing.xml", XML),
        (b'{"a": 1}', "data.json", JSON),
        (b'{"a": 1}', "data", JSON),
        (b'{"a": 1}\n{"a": 2}\n', "data.jsonl", JSON_LINES),
        (b"[1] is a footnote, not JSON", "notes", PLAIN),
        (b"{\\rtf1 hello}", "letter.rtf", RTF),
        (b"{\\rtf1 hello}", "letter", RTF),
        (b"# Hello", "README.md", MARKDOWN),
        (b"<html> in Markdown is Markdown", "README.markdown", MARKDOWN),
        (b"Hello\n=====", "README.rst", RST),
        (b"* Hello", "README.org", ORG),
        (b"a,b\n1,2", "table.csv", CSV),
        (b"a\tb\n1\t2", "table.tsv", TSV),
        (MAIL, "leave.eml", EML),
        (MAIL, "leave", EML),
        (b"Subject: short\n\nbut a mail", "leave.eml", EML),
        (b"From: me\nSubject: a memo with two of the marks\n\nHello", "memo", PLAIN),
        (b"hello", "README", PLAIN),
        (b"hello", "app.log", PLAIN),
        ("hello".encode("utf-16"), "notes.txt", PLAIN),
    ],
)
def test_media_type_is_detected_from_content(
    path: Path, content: bytes, filename: str, media_type: str
) -> None:
    path.write_bytes(content)
    assert detect(path, filename) == media_type


@pytest.mark.parametrize(
    ("content", "filename", "reason"),
    [
        (b"", "a.txt", Rejection.EMPTY_FILE),
        (b"%PDF-1.7\n", "report.docx", Rejection.TYPE_MISMATCH),
        (b"%PDF-1.7\n", "report.txt", Rejection.TYPE_MISMATCH),
        (archive("word/document.xml"), "letter.pdf", Rejection.TYPE_MISMATCH),
        (archive("word/document.xml"), "letter.zip", Rejection.TYPE_MISMATCH),
        (archive("xl/workbook.xml"), "letter.docx", Rejection.TYPE_MISMATCH),
        (archive("foo.txt"), "letter.docx", Rejection.TYPE_MISMATCH),
        (archive("content.xml", mimetype=ODT), "book.epub", Rejection.TYPE_MISMATCH),
        (archive("visio/document.xml"), "plan.vsdx", Rejection.UNSUPPORTED_TYPE),
        (b"PK\x03\x04 and no more", "letter.docx", Rejection.DAMAGED_FILE),
        (b"PK\x03\x04 and no more", "bundle.zip", Rejection.DAMAGED_FILE),
        (b"PK\x03\x04 and no more", "bundle", Rejection.DAMAGED_FILE),
        (b"PK\x03\x04 and no more", "letter.pdf", Rejection.TYPE_MISMATCH),
        (b"MZ" + bytes(range(256)) * 4, "setup.txt", Rejection.TYPE_MISMATCH),
        (b"MZ" + bytes(range(256)) * 4, "setup.exe", Rejection.UNSUPPORTED_TYPE),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "photo.jpg", Rejection.TYPE_MISMATCH),
        (b"GIF89a" + bytes(64), "photo.gif", Rejection.UNSUPPORTED_TYPE),
        (b"GIF89a" + bytes(64), "photo.png", Rejection.TYPE_MISMATCH),
        (b"<svg><text>hello</text></svg>", "drawing.svg", Rejection.UNSUPPORTED_TYPE),
        (b"<html><p>hello", "page.txt", Rejection.TYPE_MISMATCH),
        (b'<?xml version="1.0"?><a/>', "page.txt", Rejection.TYPE_MISMATCH),
        (b"{\\rtf1 hello}", "letter.txt", Rejection.TYPE_MISMATCH),
        (b"{\\rtf1 hello}", "letter.doc", Rejection.TYPE_MISMATCH),
        (b"no PDF at all", "report.pdf", Rejection.TYPE_MISMATCH),
        (b"no rich text", "letter.rtf", Rejection.TYPE_MISMATCH),
        (b"not marked up", "facts.xml", Rejection.TYPE_MISMATCH),
        (b"hello", "data.json", Rejection.TYPE_MISMATCH),
        (b"Dear colleague,\n\nthis is no mail.", "letter.eml", Rejection.TYPE_MISMATCH),
        (ole("WordDocument"), "old.xls", Rejection.TYPE_MISMATCH),
        (ole("VisioDocument"), "old.vsd", Rejection.UNSUPPORTED_TYPE),
        (BROKEN_OLE, "old.doc", Rejection.DAMAGED_FILE),
        (BROKEN_OLE, "old", Rejection.DAMAGED_FILE),
        (BROKEN_OLE, "old.docx", Rejection.TYPE_MISMATCH),
        (ole("EncryptionInfo", "EncryptedPackage"), "secret.docx", Rejection.PASSWORD_PROTECTED),
        (ole("EncryptionInfo", "EncryptedPackage"), "secret.xlsx", Rejection.PASSWORD_PROTECTED),
        (ole("EncryptionInfo", "EncryptedPackage"), "secret", Rejection.PASSWORD_PROTECTED),
        (ole("EncryptionInfo", "EncryptedPackage"), "secret.pdf", Rejection.TYPE_MISMATCH),
    ],
)
def test_unsupported_content_is_rejected(
    path: Path, content: bytes, filename: str, reason: Rejection
) -> None:
    path.write_bytes(content)
    with pytest.raises(DocumentRejected) as caught:
        detect(path, filename)
    assert caught.value.reason is reason
    assert caught.value.message.endswith(".")


def test_unsupported_type_error_names_the_content_and_supported_formats(path: Path) -> None:
    path.write_bytes(b"GIF89a" + bytes(64))
    with pytest.raises(DocumentRejected) as caught:
        detect(path, "photo.gif")
    assert "a GIF image" in caught.value.message
    assert all(one.endings[0] in caught.value.message for one in FORMATS)


def test_document_attached_to_a_mail_does_not_change_its_type(path: Path) -> None:
    path.write_bytes(ole("__properties_version1.0") + "WordDocument".encode("utf-16-le"))
    assert detect(path, "mail.msg") == MSG


def test_unterminated_markup_is_detected_quickly(path: Path) -> None:
    path.write_bytes(b"<!DOCTYPE a " + b"[[]" * 2500)
    assert detect(path, "a.xml") == XML
