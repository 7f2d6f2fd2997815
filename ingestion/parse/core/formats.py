"""Supported formats by media type and extension, and unsupported formats that have a name.

A new format needs a row in `FORMATS` here, a parser in `ingestion.parse.registry`, a label in
`web.presentation.file_groups`, a row in docs/use/formats.md and, unless its name or media type identifies it,
a rule in `ingestion.parse.detection`. CONTRIBUTING.md has the whole recipe.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from cairn.messages import CodedMessage, Term
from cairn.messages import gettext_noop as _

PDF: Final = "application/pdf"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
DOC: Final = "application/msword"
PPTX: Final = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
PPT: Final = "application/vnd.ms-powerpoint"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XLS: Final = "application/vnd.ms-excel"
ODS: Final = "application/vnd.oasis.opendocument.spreadsheet"
ODT: Final = "application/vnd.oasis.opendocument.text"
RTF: Final = "application/rtf"
EPUB: Final = "application/epub+zip"
HTML: Final = "text/html"
XML: Final = "application/xml"
JSON: Final = "application/json"
JSON_LINES: Final = "application/x-ndjson"
MARKDOWN: Final = "text/markdown"
RST: Final = "text/x-rst"
ORG: Final = "text/x-org"
DOKUWIKI: Final = "text/x-dokuwiki"
TEXTILE: Final = "text/x-textile"
CSV: Final = "text/csv"
TSV: Final = "text/tab-separated-values"
PLAIN: Final = "text/plain"
EML: Final = "message/rfc822"
MSG: Final = "application/vnd.ms-outlook"
PNG: Final = "image/png"
JPEG: Final = "image/jpeg"
TIFF: Final = "image/tiff"
ZIP: Final = "application/zip"

SVG: Final = "image/svg+xml"
OLE: Final = "application/x-ole-storage"
BINARY: Final = "application/octet-stream"


class Container(Enum):
    """What several formats are stored in. PLAIN_TEXT has no signature, so the ending tells the format."""

    ZIP = "zip"
    OLE = "ole"
    PLAIN_TEXT = "plain_text"


@dataclass(frozen=True, slots=True)
class Format:
    """A supported format. `name` completes "the content is", `noun` "this is a damaged".

    The first of `endings` is the usual one. Without a `container`, `detect` recognises it by its content, in
    some cases together with the name.
    """

    media_type: str
    name: str
    noun: str
    endings: tuple[str, ...]
    container: Container | None = None


FORMATS: Final = (
    Format(PDF, _("a PDF"), _("PDF"), (".pdf",)),
    Format(
        DOCX, _("a Word document"), _("Word document"), (".docx", ".docm", ".dotx", ".dotm"), Container.ZIP
    ),
    Format(DOC, _("an old Word document"), _("old Word document"), (".doc", ".dot"), Container.OLE),
    Format(ODT, _("an OpenDocument text"), _("OpenDocument text"), (".odt", ".ott"), Container.ZIP),
    Format(RTF, _("a rich text file (RTF)"), _("rich text file (RTF)"), (".rtf",)),
    Format(EPUB, _("an e-book (EPUB)"), _("e-book (EPUB)"), (".epub",), Container.ZIP),
    Format(
        PPTX, _("a PowerPoint presentation"), _("PowerPoint presentation"), (".pptx", ".pptm"), Container.ZIP
    ),
    Format(
        PPT,
        _("an old PowerPoint presentation"),
        _("old PowerPoint presentation"),
        (".ppt", ".pps", ".pot"),
        Container.OLE,
    ),
    Format(
        XLSX, _("an Excel workbook"), _("Excel workbook"), (".xlsx", ".xlsm", ".xltx", ".xltm"), Container.ZIP
    ),
    Format(XLS, _("an old Excel workbook"), _("old Excel workbook"), (".xls", ".xlt"), Container.OLE),
    Format(
        ODS, _("an OpenDocument spreadsheet"), _("OpenDocument spreadsheet"), (".ods", ".ots"), Container.ZIP
    ),
    Format(CSV, _("a table (CSV)"), _("table (CSV)"), (".csv",), Container.PLAIN_TEXT),
    Format(TSV, _("a table (TSV)"), _("table (TSV)"), (".tsv", ".tab"), Container.PLAIN_TEXT),
    Format(
        HTML, _("a web page (HTML)"), _("web page (HTML)"), (".html", ".htm", ".xhtml"), Container.PLAIN_TEXT
    ),
    Format(XML, _("an XML file"), _("XML file"), (".xml",)),
    Format(JSON, _("a JSON file"), _("JSON file"), (".json",)),
    Format(JSON_LINES, _("a JSON Lines file"), _("JSON Lines file"), (".jsonl", ".ndjson")),
    Format(MARKDOWN, _("a Markdown file"), _("Markdown file"), (".md", ".markdown"), Container.PLAIN_TEXT),
    Format(RST, _("a reStructuredText file"), _("reStructuredText file"), (".rst",), Container.PLAIN_TEXT),
    Format(ORG, _("an Org file"), _("Org file"), (".org",), Container.PLAIN_TEXT),
    Format(DOKUWIKI, _("a DokuWiki page"), _("DokuWiki page"), (".dokuwiki",), Container.PLAIN_TEXT),
    Format(TEXTILE, _("a Textile file"), _("Textile file"), (".textile",), Container.PLAIN_TEXT),
    Format(PLAIN, _("plain text"), _("plain text"), (".txt", ".text"), Container.PLAIN_TEXT),
    Format(EML, _("an email"), _("email"), (".eml",)),
    Format(MSG, _("an Outlook email"), _("Outlook email"), (".msg",), Container.OLE),
    Format(PNG, _("a PNG image"), _("PNG image"), (".png",)),
    Format(JPEG, _("a JPEG image"), _("JPEG image"), (".jpg", ".jpeg", ".jpe", ".jfif")),
    Format(TIFF, _("a TIFF image"), _("TIFF image"), (".tiff", ".tif")),
    Format(ZIP, _("a ZIP archive"), _("ZIP archive"), (".zip",), Container.ZIP),
)
BY_MEDIA_TYPE: Final = {one.media_type: one for one in FORMATS}
BY_ENDING: Final = {ending: one for one in FORMATS for ending in one.endings}

_ONLY_KNOWN: Final = {
    SVG: _("an SVG image"),
    OLE: _("an Office file of another kind"),
    BINARY: _("binary data"),
    "application/vnd.oasis.opendocument.presentation": _("an OpenDocument presentation"),
    "application/vnd.oasis.opendocument.graphics": _("an OpenDocument drawing"),
    "application/vnd.visio": _("a Visio drawing"),
    "application/vnd.apple.iwork": _("an Apple iWork document"),
    "application/java-archive": _("a Java archive"),
    "application/vnd.android.package-archive": _("an Android app"),
    "application/x-msdownload": _("a program"),
    "application/x-executable": _("a program"),
    "application/x-7z-compressed": _("a 7z archive"),
    "application/x-rar-compressed": _("a RAR archive"),
    "application/vnd.rar": _("a RAR archive"),
    "application/gzip": _("a gzip archive"),
    "application/x-tar": _("a tar archive"),
    "image/gif": _("a GIF image"),
    "image/webp": _("a WebP image"),
    "image/bmp": _("a BMP image"),
    "image/heic": _("a HEIC image"),
    "video/mp4": _("a video"),
    "video/quicktime": _("a video"),
    "audio/mpeg": _("a sound recording"),
    "audio/x-wav": _("a sound recording"),
    "application/vnd.sqlite3": _("a database"),
}


OTHER_KINDS: Final = (
    _("file"),
    _("file in the archive"),
    _("archive"),
    _("image"),
    _("workbook"),
    _("presentation"),
    _("web page"),
    _("email"),
    _("attached email"),
    _("Office file"),
)
"""What parsers call a file if the noun of its format is too narrow."""


def in_container(container: Container) -> frozenset[str]:
    """The media types of the formats stored in this container."""
    return frozenset(one.media_type for one in FORMATS if one.container is container)


def name_of(media_type: str) -> str:
    """Return a name of the format as a parameter of messages, which completes "the content is"."""
    found = BY_MEDIA_TYPE.get(media_type)
    name = found.name if found else _ONLY_KNOWN.get(media_type)
    return Term(name) if name else CodedMessage("unknown_format", media_type=media_type)


def list_extensions() -> list[str]:
    """Return the usual extensions of all formats."""
    return [one.endings[0] for one in FORMATS]
