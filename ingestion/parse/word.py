"""Word documents, after their archive has been found safe to open."""

from pathlib import Path
from typing import Final
from zipfile import BadZipFile

from docx import Document
from docx.opc.exceptions import OpcError
from lxml import etree
from unstructured.partition.docx import partition_docx

from cairn.library.rendition import Rendition
from ingestion.parse import archive, partition, reject
from ingestion.parse.build import RenditionBuilder
from ingestion.parse.limits import Limits
from ingestion.parse.text import clean

_KIND: Final = "Word document"
# what python-docx and unstructured raise on parts that are missing or not what they should be
_DAMAGE: Final = (
    OpcError,
    BadZipFile,
    etree.LxmlError,
    KeyError,
    ValueError,
    AttributeError,
    IndexError,
    TypeError,
)


def parse(path: Path, limits: Limits) -> Rendition:
    archive.check(path, _KIND)
    builder = RenditionBuilder(limits)
    try:
        title = _title(path)
        elements = partition_docx(str(path), languages=[""])
    except _DAMAGE as error:
        raise reject.damaged(_KIND) from error
    partition.collect(elements, builder, first_row_is_header=True)
    return builder.build(title=title or builder.first_heading)


def _title(path: Path) -> str | None:
    """The title property, but for what Word itself puts there."""
    title = clean(Document(str(path)).core_properties.title).strip()
    return None if title.lower() in ("word document", "document") else title
