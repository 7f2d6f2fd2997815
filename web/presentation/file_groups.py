"""Kinds of files, such as spreadsheets: the file formats of each kind, with labels for people."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from ingestion.parse.core import formats


class Kind(StrEnum):
    PDF = "pdf"
    TEXT = "text"
    SHEET = "sheet"
    SLIDES = "slides"
    WEB = "web"
    MAIL = "mail"
    PICTURE = "picture"
    ARCHIVE = "archive"


LABELS: Final[Mapping[Kind, Mapping[str, str]]] = {
    Kind.PDF: {formats.PDF: "PDF"},
    Kind.TEXT: {
        formats.DOCX: "Word",
        formats.DOC: "Word 97-2003",
        formats.ODT: gettext_noop("OpenDocument text"),
        formats.RTF: gettext_noop("Rich text"),
        formats.EPUB: gettext_noop("E-book"),
        formats.MARKDOWN: "Markdown",
        formats.RST: "reStructuredText",
        formats.ORG: "Org",
        formats.DOKUWIKI: "DokuWiki",
        formats.TEXTILE: "Textile",
        formats.PLAIN: gettext_noop("Text"),
    },
    Kind.SHEET: {
        formats.XLSX: "Excel",
        formats.XLS: "Excel 97-2003",
        formats.ODS: gettext_noop("OpenDocument spreadsheet"),
        formats.CSV: "CSV",
        formats.TSV: "TSV",
    },
    Kind.SLIDES: {formats.PPTX: "PowerPoint", formats.PPT: "PowerPoint 97-2003"},
    Kind.WEB: {
        formats.HTML: "HTML",
        formats.XML: "XML",
        formats.JSON: "JSON",
        formats.JSON_LINES: "JSON Lines",
    },
    Kind.MAIL: {formats.EML: gettext_noop("Email"), formats.MSG: gettext_noop("Outlook email")},
    Kind.PICTURE: {
        formats.PNG: gettext_noop("PNG image"),
        formats.JPEG: gettext_noop("JPEG image"),
        formats.TIFF: gettext_noop("TIFF image"),
    },
    Kind.ARCHIVE: {formats.ZIP: gettext_noop("ZIP archive")},
}
"""The label of each media type, by kind."""

NAMES: Final[Mapping[Kind, Promise]] = {
    Kind.PDF: _("PDF"),
    Kind.TEXT: _("Text"),
    Kind.SHEET: _("Spreadsheet"),
    Kind.SLIDES: _("Presentation"),
    Kind.WEB: _("Web page or data"),
    Kind.MAIL: _("Email"),
    Kind.PICTURE: _("Image"),
    Kind.ARCHIVE: _("Archive"),
}

ICONS: Final[Mapping[Kind, str]] = {
    Kind.SHEET: "sheet",
    Kind.SLIDES: "slides",
    Kind.MAIL: "mail",
    Kind.PICTURE: "picture",
    Kind.ARCHIVE: "box",
}


def media_types_of(kind: Kind) -> frozenset[str]:
    return frozenset(LABELS[kind])


def kind_of(media_type: str) -> Kind | None:
    return next((kind for kind, labels in LABELS.items() if media_type in labels), None)


def label_of(media_type: str) -> str:
    """The translated label, or the media type itself if Cairn does not support it."""
    kind = kind_of(media_type)
    return gettext(LABELS[kind][media_type]) if kind else media_type
