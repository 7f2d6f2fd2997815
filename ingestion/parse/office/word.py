"""Word documents whose archive was found safe to open."""

import io
from pathlib import Path
from typing import Final

from docx.document import Document
from docx.opc.constants import CONTENT_TYPE, RELATIONSHIP_TYPE
from docx.opc.exceptions import OpcError
from docx.opc.part import PartFactory
from docx.oxml.ns import qn
from docx.package import Package
from docx.parts.document import DocumentPart
from docx.parts.image import ImagePart
from lxml import etree
from unstructured.partition.docx import partition_docx

from cairn.library.rendition import Rendition, Report
from ingestion.parse.archives import zip_guard
from ingestion.parse.core import failures, unstructured_elements
from ingestion.parse.core.anchors import Anchor
from ingestion.parse.core.limits import Limits
from ingestion.parse.core.rendition_builder import RenditionBuilder
from ingestion.parse.office import word_markup
from ingestion.parse.office.damage import DAMAGE
from ingestion.parse.text.cleaning import clean

_KIND: Final = "Word document"
_WORD: Final = "application/vnd.ms-word."
_OPEN_XML: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml."
_VARIANTS: Final = (
    f"{_WORD}document.macroEnabled.main+xml",
    f"{_WORD}template.macroEnabledTemplate.main+xml",
    f"{_OPEN_XML}template.main+xml",
)
"""Documents with macros and templates: the same inside, but python-docx would not take them."""
_NO_TITLES: Final = ("word document", "document")  # what Word itself puts there
PartFactory.part_type_for.update(dict.fromkeys(_VARIANTS, DocumentPart))
_DAMAGE: Final = (OpcError, *DAMAGE)


def parse(path: Path, limits: Limits) -> Rendition:
    zip_guard.check(path, _KIND)
    builder = RenditionBuilder(limits)
    try:
        document = _open_document(path)
        unread = word_markup.unfold(document)
        properties = _properties(document)
        tables = _table_anchors(document)
        elements = partition_docx(file=_save(document), languages=[""])
    except _DAMAGE as error:
        raise failures.damaged(_KIND) from error
    unstructured_elements.collect(elements, builder, first_row_is_header=True, table_anchors=tables)
    report = Report(tables=builder.tables, warnings=unread)
    title = properties.pop("title", builder.first_heading)
    return builder.build(title=title, report=report, properties=properties)


def _open_document(path: Path) -> Document:
    part = Package.open(str(path)).main_document_part
    if part.content_type not in (*_VARIANTS, CONTENT_TYPE.WML_DOCUMENT_MAIN):
        raise ValueError(part.content_type)
    part._content_type = CONTENT_TYPE.WML_DOCUMENT_MAIN
    document: Document = part.document
    return document


def _table_anchors(document: Document) -> list[list[Anchor]]:
    """Return the external links of each table in the body, including those of tables in it."""
    targets = {key: one.target_ref for key, one in document.part.rels.items() if one.is_external}
    tables = (node for node in document.element.body if node.tag == qn("w:tbl"))
    return [
        [_anchor(link, targets.get(link.get(qn("r:id")), "")) for link in table.iter(qn("w:hyperlink"))]
        for table in tables
    ]


def _anchor(link: etree._Element, target: str) -> Anchor:
    text = "".join(one.text or "" for one in link.iter(qn("w:t")))
    fragment = link.get(qn("w:anchor"))
    return Anchor(text, f"{target}#{fragment}" if target and fragment else target)


def _save(document: Document) -> io.BytesIO:
    """Save the document without its images, which are not needed."""
    for part in document.part.package.iter_parts():
        if isinstance(part, ImagePart):
            part._blob = b""
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer


def _properties(document: Document) -> dict[str, str]:
    """Return title, author and date from the file; python-docx would invent defaults."""
    if not any(
        one.reltype == RELATIONSHIP_TYPE.CORE_PROPERTIES for one in document.part.package.rels.values()
    ):
        return {}
    core = document.core_properties
    date = core.modified or core.created
    title = clean(core.title).strip()
    found = {
        "title": "" if title.lower() in _NO_TITLES else title,
        "author": clean(core.author).strip(),
        "date": date.isoformat() if date else "",
    }
    return {key: value for key, value in found.items() if value}
