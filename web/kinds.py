"""Types of files as people tell them apart: several formats each."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ingestion.parse import formats


class Kind(StrEnum):
    PDF = "pdf"
    TEXT = "text"
    SHEET = "sheet"
    SLIDES = "slides"
    WEB = "web"
    MAIL = "mail"
    PICTURE = "picture"
    ARCHIVE = "archive"


MEDIA_TYPES: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.PDF: frozenset({formats.PDF}),
    Kind.TEXT: frozenset(
        {
            formats.DOCX, formats.DOC, formats.ODT, formats.RTF, formats.EPUB, formats.MARKDOWN, formats.RST,
            formats.ORG, formats.PLAIN,
        }
    ),
    Kind.SHEET: frozenset({formats.XLSX, formats.XLS, formats.ODS, formats.CSV, formats.TSV}),
    Kind.SLIDES: frozenset({formats.PPTX, formats.PPT}),
    Kind.WEB: frozenset({formats.HTML, formats.XML, formats.JSON, formats.JSON_LINES}),
    Kind.MAIL: frozenset({formats.EML, formats.MSG}),
    Kind.PICTURE: frozenset({formats.PNG, formats.JPEG, formats.TIFF}),
    Kind.ARCHIVE: frozenset({formats.ZIP}),
}  # fmt: skip

NAMES: Final[Mapping[Kind, Promise]] = {
    Kind.PDF: _("PDF"),
    Kind.TEXT: _("Text"),
    Kind.SHEET: _("Spreadsheet"),
    Kind.SLIDES: _("Presentation"),
    Kind.WEB: _("Web page or data"),
    Kind.MAIL: _("Mail"),
    Kind.PICTURE: _("Picture"),
    Kind.ARCHIVE: _("Archive"),
}

ICONS: Final[Mapping[Kind, str]] = {
    Kind.SHEET: "sheet",
    Kind.SLIDES: "slides",
    Kind.MAIL: "mail",
    Kind.PICTURE: "picture",
    Kind.ARCHIVE: "box",
}


def kind_of(media_type: str) -> Kind | None:
    return next((kind for kind, types in MEDIA_TYPES.items() if media_type in types), None)
