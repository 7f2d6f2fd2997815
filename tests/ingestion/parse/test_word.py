import io
import zipfile
from collections.abc import Callable

import pytest
from docx import Document
from docx.document import Document as Docx

from cairn.errors import Rejection
from tests.ingestion.parse.conftest import Read, Refuse


def made(build: Callable[[Docx], object]) -> bytes:
    document = Document()
    build(document)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def rewritten(data: bytes, **members: bytes) -> bytes:
    """The archive with members replaced or added; `__` in a name stands for a slash."""
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


def test_a_document_without_words_is_refused(refuse: Refuse) -> None:
    refuse(made(lambda document: document.add_paragraph("")), "a.docx", Rejection.NO_TEXT)


def test_a_bomb_among_its_parts_is_refused(refuse: Refuse, letter: bytes) -> None:
    refuse(rewritten(letter, word__media__a=bytes(64 << 20)), "a.docx", Rejection.ARCHIVE_UNSAFE)


def test_broken_markup_is_damage(refuse: Refuse, letter: bytes) -> None:
    refuse(rewritten(letter, **{"word__document.xml": b"<w:document"}), "a.docx", Rejection.DAMAGED_FILE)


def test_entity_bombs_are_damage(refuse: Refuse, letter: bytes) -> None:
    entities = "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(8))
    bomb = f'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">{entities}]><w>&i;</w>'
    refuse(rewritten(letter, **{"word__document.xml": bomb.encode()}), "a.docx", Rejection.DAMAGED_FILE)


def test_a_cut_file_is_damage(refuse: Refuse, letter: bytes) -> None:
    refuse(letter[: len(letter) // 2], "a.docx", Rejection.DAMAGED_FILE)
