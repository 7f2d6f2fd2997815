"""Formats that are read with Pandoc, which comes with Cairn."""

import io
import zipfile

import pytest

from cairn.errors import Rejection
from tests.ingestion.parse.conftest import Read, Refuse
from tests.ingestion.parse.test_json_records import outline

RST = """
Leave
=====

:Author: Ada

Take it.

Rates
-----

====== =====
Grade  Days
====== =====
GS-7   20
GS-8   25
====== =====

- one
- two [1]_

.. include:: /etc/passwd

.. [1] A note.
"""
ORG = """#+TITLE: Leave
#+AUTHOR: Ada

* Rates
| Grade | Days |
|-------+------|
| GS-7  | 20   |

** Meals
1. one
2. two

#+INCLUDE: "/etc/passwd"
"""
RTF = (
    r"{\rtf1\ansi{\info{\title Leave}{\author Ada}}{\pard\outlinelevel0 Rates\par}{\pard Take it.\par}"
    r"{\trowd\cellx3000\cellx6000\pard\intbl Grade\cell Days\cell\row\pard\intbl GS-7\cell 20\cell\row}"
    r"{\pard After.\par}}"
)
OFFICE = "urn:oasis:names:tc:opendocument:xmlns"
ODT_CONTENT = f"""<office:document-content xmlns:office="{OFFICE}:office:1.0" xmlns:text="{OFFICE}:text:1.0"
xmlns:table="{OFFICE}:table:1.0" office:version="1.3"><office:body><office:text>
<text:h text:outline-level="1">Rates</text:h>
<text:p>Take 20<text:note text:note-class="footnote"><text:note-citation>1</text:note-citation>
<text:note-body><text:p>Working days.</text:p></text:note-body></text:note> days.</text:p>
<table:table><table:table-column table:number-columns-repeated="2"/>
<table:table-row><table:table-cell><text:p>Grade</text:p></table:table-cell>
<table:table-cell><text:p>Days</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell><text:p>GS-7</text:p></table:table-cell>
<table:table-cell><text:p>20</text:p></table:table-cell></table:table-row></table:table>
</office:text></office:body></office:document-content>"""
ODT_META = f"""<office:document-meta xmlns:office="{OFFICE}:office:1.0" xmlns:meta="{OFFICE}:meta:1.0"
xmlns:dc="http://purl.org/dc/elements/1.1/"><office:meta><dc:title>Leave</dc:title>
<meta:initial-creator>Ada</meta:initial-creator><dc:date>2024-05-01T10:00:00</dc:date>
<dc:language>en-GB</dc:language></office:meta></office:document-meta>"""
ODT_STYLES = (
    f'<office:document-styles xmlns:office="{OFFICE}:office:1.0"><office:styles/></office:document-styles>'
)
EPUB_PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="i">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="i">x</dc:identifier>
<dc:title>Leave</dc:title><dc:creator>Ada</dc:creator><dc:language>en</dc:language></metadata>
<manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>
<spine><itemref idref="a"/></spine></package>"""
EPUB_CHAPTER = """<html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head><body><h1>Rates</h1>
<p>Take it.</p><h2>Meals</h2><p>One <img src="../../etc/passwd" alt="plate"/></p></body></html>"""
CONTAINER = """<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>
<rootfile full-path="package.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""


def packed(**members: str) -> bytes:
    """Return a ZIP archive; in a name, `__` means a slash and `_` a dot."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "/").replace("_", "."), content)
    return buffer.getvalue()


@pytest.fixture
def odt() -> bytes:
    mimetype = "application/vnd.oasis.opendocument.text"
    return packed(mimetype=mimetype, content_xml=ODT_CONTENT, meta_xml=ODT_META, styles_xml=ODT_STYLES)


@pytest.fixture
def epub() -> bytes:
    return packed(
        **{"mimetype": "application/epub+zip", "META-INF__container_xml": CONTAINER},
        package_opf=EPUB_PACKAGE,
        a_xhtml=EPUB_CHAPTER,
    )


def test_restructured_text(read: Read) -> None:
    found = read(RST, "a.rst")
    assert (found.title, found.properties["author"]) == ("Leave", "Ada")
    assert ("Title", ("Leave",), "Rates") in outline(found)
    table = next(one for one in found.elements if one.category == "Table")
    assert (table.text, table.section) == ("Grade | Days\nGS-7 | 20\nGS-8 | 25", ("Leave", "Rates"))
    assert table.header_rows == 1
    assert [one.text for one in found.elements if one.category == "ListItem"][:2] == ["one", "two [1]"]
    assert "root:" not in str(outline(found))


def test_blank_rows_in_a_csv_table_of_restructured_text_are_skipped(read: Read) -> None:
    text = """
Rates
=====

.. csv-table:: Leave
  :header: grade, days

  GS-7, 20

  GS-8, 25

Take it.
"""
    table, after = read(text, "rates.rst").elements[-2:]
    assert table.text.splitlines()[-3:] == ["grade | days", "GS-7 | 20", "GS-8 | 25"]
    assert after.text == "Take it."


def test_org(read: Read) -> None:
    found = read(ORG, "a.org")
    assert (found.title, found.properties["author"]) == ("Leave", "Ada")
    assert ("Table", ("Leave", "Rates"), "Grade | Days\nGS-7 | 20") in outline(found)
    assert outline(found)[-2:] == [
        ("ListItem", ("Leave", "Rates", "Meals"), "1. one"),
        ("ListItem", ("Leave", "Rates", "Meals"), "2. two"),
    ]


def test_rich_text(read: Read) -> None:
    found = read(RTF, "a.rtf")
    assert (found.title, found.properties) == ("Leave", {"author": "Ada"})
    assert outline(found) == [
        ("Title", (), "Rates"),
        ("UncategorizedText", ("Rates",), "Take it."),
        ("Table", ("Rates",), "Grade | Days\nGS-7 | 20"),
        ("UncategorizedText", ("Rates",), "After."),
    ]


def test_open_document(read: Read, odt: bytes) -> None:
    found = read(odt, "a.odt")
    assert found.title == "Leave"
    assert found.properties == {"author": "Ada", "date": "2024-05-01T10:00:00", "language": "en-GB"}
    assert outline(found)[:3] == [
        ("Title", (), "Rates"),
        ("UncategorizedText", ("Rates",), "Take 20 [1] days."),
        ("Table", ("Rates",), "Grade | Days\nGS-7 | 20"),
    ]
    assert outline(found)[-1][2] == "1. Working days."


def test_electronic_books(read: Read, epub: bytes) -> None:
    found = read(epub, "a.epub")
    assert (found.title, found.properties["author"]) == ("Leave", "Ada")
    assert outline(found) == [
        ("Title", (), "Rates"),
        ("UncategorizedText", ("Rates",), "Take it."),
        ("Title", ("Rates",), "Meals"),
        ("UncategorizedText", ("Rates", "Meals"), "One plate"),
    ]
    assert found.report.warnings == ("1 image was skipped.",)


@pytest.mark.parametrize("kind", ["odt", "epub"])
def test_truncated_pandoc_input_is_damaged(refuse: Refuse, kind: str, request: pytest.FixtureRequest) -> None:
    whole: bytes = request.getfixturevalue(kind)
    refuse(whole[: len(whole) // 2], f"a.{kind}", Rejection.DAMAGED_FILE)


def test_epub_without_a_book_is_damaged(refuse: Refuse) -> None:
    refuse(packed(mimetype="application/epub+zip", a_xhtml=EPUB_CHAPTER), "a.epub", Rejection.DAMAGED_FILE)


def test_zip_bomb_in_an_epub_is_rejected(refuse: Refuse) -> None:
    bomb = packed(mimetype="application/epub+zip", a_xhtml=" " * (64 << 20))
    refuse(bomb, "a.epub", Rejection.ARCHIVE_UNSAFE)


@pytest.mark.slow
def test_text_beyond_the_memory_limit_is_rejected(refuse: Refuse) -> None:
    refuse("word " * 2_000_000, "a.rst", Rejection.MEMORY_LIMIT, memory_mb=512)


def test_dokuwiki_reads_core_syntax_and_runs_no_plugins(read: Read) -> None:
    text = (
        "====== Größe ======\n\nTake **it**. {{page>secret:salaries}} <WRAP info>\n\n===== Rates =====\n\n"
        "^ Grade ^ Days ^\n| GS-7 | 20 |\n\n  * one\n  * two\n\n{{/etc/passwd}} {{rss>http://127.0.0.1/}}\n"
    )
    found = read(text, "leave.dokuwiki")
    assert found.title == "Größe"
    table = next(one for one in found.elements if one.category == "Table")
    assert (table.text, table.section) == ("Grade | Days\nGS-7 | 20", ("Größe", "Rates"))
    assert "Take it." in str(outline(found))
    assert "<WRAP info>" in str(outline(found))
    assert "root:" not in str(outline(found))


def test_textile(read: Read) -> None:
    found = read(
        "h1. Leave\n\nTake *it*.\n\nh2. Rates\n\n|_. Grade |_. Days |\n| GS-7 | 20 |\n\n* one\n",
        "leave.textile",
    )
    assert found.title == "Leave"
    table = next(one for one in found.elements if one.category == "Table")
    assert (table.text, table.section) == ("Grade | Days\nGS-7 | 20", ("Leave", "Rates"))
