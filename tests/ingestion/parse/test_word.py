import base64
import io
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from docx import Document
from docx.document import Document as Docx

from cairn.errors import Rejection
from cairn.library.rendition import Rendition
from tests.ingestion.parse.conftest import Read, Refuse

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def made(build: Callable[[Docx], object]) -> bytes:
    document = Document()
    build(document)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def rewritten(data: bytes, **members: bytes) -> bytes:
    """Rewrite the archive with members replaced or added; `__` in a name means a slash."""
    replaced = {name.replace("__", "/"): content for name, content in members.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name not in replaced:
                new.writestr(name, old.read(name))
        for name, content in replaced.items():
            new.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def letter() -> bytes:
    return made(lambda document: document.add_paragraph("Dear colleague, thank you."))


def test_headings_lists_and_tables(read: Read) -> None:
    def build(document: Docx) -> None:
        document.core_properties.title = "Travel policy"
        document.sections[0].header.paragraphs[0].text = "Confidential"
        document.add_heading("Rates", 1)
        document.add_heading("Meals", 2)
        document.add_paragraph("The daily rates are paid in advance.")
        document.add_paragraph("breakfast", style="List Bullet")
        table = document.add_table(2, 2)
        for cell, text in zip(
            (c for row in table.rows for c in row.cells), ["City", "Rate", "Bonn", "28"], strict=True
        ):
            cell.text = text

    found = read(made(build), "a.docx")
    assert found.title == "Travel policy"
    assert [(element.category, element.text, element.section) for element in found.elements] == [
        ("Title", "Rates", ()),
        ("Title", "Meals", ("Rates",)),
        ("UncategorizedText", "The daily rates are paid in advance.", ("Rates", "Meals")),
        ("ListItem", "breakfast", ("Rates", "Meals")),
        ("Table", "City | Rate\nBonn | 28", ("Rates", "Meals")),
    ]
    assert found.elements[-1].header_rows == 1


WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"
RELATIONS = "http://schemas.openxmlformats.org/{}/relationships"


def with_body(letter: bytes, body: str, **members: bytes) -> bytes:
    """`letter` with other markup inside."""
    document = f'<w:document xmlns:w="{WORD}" xmlns:m="{MATH}"><w:body>{body}</w:body></w:document>'
    return rewritten(letter, **{"word__document.xml": document.encode()}, **members)


def paragraph(text: str, style: str = "") -> str:
    return f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>'


def texts(found: Rendition) -> list[str]:
    return [element.text for element in found.elements]


def test_text_in_wrapper_elements_is_read(read: Read, letter: bytes) -> None:
    run = "<w:r><w:t>{}</w:t></w:r>"
    body = (
        f"<w:sdt><w:sdtPr/><w:sdtContent>{paragraph('from a content control')}</w:sdtContent></w:sdt>"
        f"<w:p><w:ins w:id='1'>{run.format('put in, ')}</w:ins>"
        f"<w:del w:id='2'><w:r><w:delText>taken out</w:delText></w:r></w:del>"
        f"<w:fldSimple w:instr='REF x'>{run.format('see page 5')}</w:fldSimple></w:p>"
        "<w:p><m:oMath><m:r><m:t>E=mc2</m:t></m:r></m:oMath></w:p>"
        f"<w:p>{run.format('beside a box')}<w:r><w:pict><w:txbxContent>{paragraph('in a box')}"
        "</w:txbxContent></w:pict></w:r></w:p>"
    )
    assert texts(read(with_body(letter, body), "a.docx")) == [
        "from a content control",
        "put in, see page 5",
        "E=mc2",
        "beside a box",
        "in a box",
    ]


def test_ruby_readings_are_removed_and_base_text_preserved(read: Read, letter: bytes) -> None:
    run = "<w:r><w:rPr><w:b/></w:rPr><w:t>{}</w:t></w:r>"
    ruby = (
        f"<w:ruby><w:rubyPr/><w:rt>{run.format('とうきょう')}</w:rt>"
        f"<w:rubyBase>{run.format('東京')}</w:rubyBase></w:ruby>"
    )
    body = f"<w:p><w:r><w:t>from </w:t>{ruby}<w:t> to </w:t></w:r>{run.format('Kyoto')}</w:p>"
    assert texts(read(with_body(letter, body), "a.docx")) == ["from 東京 to Kyoto"]


@pytest.mark.parametrize("tag", ["bdo", "dir"])
def test_right_to_left_text_is_read(read: Read, letter: bytes, tag: str) -> None:
    turned = f'<w:{tag} w:val="rtl"><w:r><w:t>שלום</w:t></w:r></w:{tag}>'
    body = f"<w:p><w:r><w:t>Say </w:t></w:r>{turned}</w:p>"
    assert texts(read(with_body(letter, body), "a.docx")) == ["Say שלום"]


def test_notes_follow_their_reference(read: Read, letter: bytes) -> None:
    note = f'<w:footnote w:id="7">{paragraph("Working days.")}</w:footnote>'
    notes = f'<w:footnotes xmlns:w="{WORD}">{note}</w:footnotes>'
    relations = (
        f'<Relationships xmlns="{RELATIONS.format("package/2006")}">'
        f'<Relationship Id="r1" Type="{RELATIONS.format("officeDocument/2006")}/footnotes" '
        'Target="footnotes.xml"/></Relationships>'
    )
    reference = (
        "<w:r><w:t>20</w:t></w:r><w:r><w:footnoteReference w:id='7'/></w:r><w:r><w:t> days</w:t></w:r>"
    )
    body = f"<w:p>{reference}</w:p>{paragraph('Next.')}"
    members = {"word__footnotes.xml": notes.encode(), "word___rels__document.xml.rels": relations.encode()}
    assert texts(read(with_body(letter, body, **members), "a.docx")) == [
        "20 [1] days",
        "[1] Working days.",
        "Next.",
    ]


def test_table_of_contents_is_removed(read: Read, letter: bytes) -> None:
    styles = (
        f'<w:styles xmlns:w="{WORD}"><w:style w:styleId="V1"><w:name w:val="toc 1"/></w:style></w:styles>'
    )
    body = paragraph("Rates 5", "V1") + paragraph("Rates")
    members = {"word__styles.xml": styles.encode()}
    assert texts(read(with_body(letter, body, **members), "a.docx")) == ["Rates"]


def test_macro_documents_are_read_without_macros(read: Read, letter: bytes) -> None:
    types = zipfile.ZipFile(io.BytesIO(letter)).read("[Content_Types].xml")
    plain = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    assert plain in types
    changed = types.replace(plain, b"application/vnd.ms-word.document.macroEnabled.main+xml")
    assert texts(read(rewritten(letter, **{"[Content_Types].xml": changed}), "a.docm"))


def test_pictures_are_counted_and_properties_read(read: Read) -> None:
    def build(document: Docx) -> None:
        document.add_paragraph("text")
        document.core_properties.author = "Ada"
        document.core_properties.modified = datetime(2024, 5, 1, tzinfo=UTC)
        for _ in range(2):
            document.add_picture(io.BytesIO(PIXEL))

    found = read(made(build), "a.docx")
    assert found.report.warnings == ("2 images were skipped.",)
    assert found.properties == {"author": "Ada", "date": "2024-05-01T00:00:00+00:00"}


def test_missing_properties_are_not_invented(read: Read, letter: bytes) -> None:
    kept = zipfile.ZipFile(io.BytesIO(letter)).read("_rels/.rels")
    without = re.sub(rb"<Relationship [^>]*core-properties[^>]*>", b"", kept)
    assert without != kept
    found = read(rewritten(letter, **{"_rels__.rels": without}), "a.docx")
    assert (found.title, found.properties) == (None, {})


def test_word_document_without_text_is_rejected(refuse: Refuse) -> None:
    refuse(made(lambda document: document.add_paragraph("")), "a.docx", Rejection.NO_TEXT)


def test_bomb_in_a_word_part_is_rejected(refuse: Refuse, letter: bytes) -> None:
    refuse(rewritten(letter, word__media__a=bytes(64 << 20)), "a.docx", Rejection.ARCHIVE_UNSAFE)


def test_broken_markup_is_damage(refuse: Refuse, letter: bytes) -> None:
    refuse(rewritten(letter, **{"word__document.xml": b"<w:document"}), "a.docx", Rejection.DAMAGED_FILE)


def test_entity_bombs_are_damage(refuse: Refuse, letter: bytes) -> None:
    entities = "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(8))
    bomb = f'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">{entities}]><w>&i;</w>'
    refuse(rewritten(letter, **{"word__document.xml": bomb.encode()}), "a.docx", Rejection.DAMAGED_FILE)


def test_truncated_word_document_is_damaged(refuse: Refuse, letter: bytes) -> None:
    refuse(letter[: len(letter) // 2], "a.docx", Rejection.DAMAGED_FILE)
