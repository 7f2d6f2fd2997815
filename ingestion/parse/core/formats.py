"""Supported formats by media type and extension, and unsupported formats that have a name."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

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
    """A supported format. `name` completes "the content is"; the first of `endings` is the usual one.

    Without a `container`, the format has a signature of its own, which `detect` knows.
    """

    media_type: str
    name: str
    endings: tuple[str, ...]
    container: Container | None = None

    @property
    def noun(self) -> str:
        return self.name.split(" ", 1)[1] if self.name.startswith(("a ", "an ")) else self.name


FORMATS: Final = (
    Format(PDF, "a PDF", (".pdf",)),
    Format(DOCX, "a Word document", (".docx", ".docm", ".dotx", ".dotm"), Container.ZIP),
    Format(DOC, "an old Word document", (".doc", ".dot"), Container.OLE),
    Format(ODT, "an OpenDocument text", (".odt", ".ott"), Container.ZIP),
    Format(RTF, "a rich text file (RTF)", (".rtf",)),
    Format(EPUB, "an e-book (EPUB)", (".epub",), Container.ZIP),
    Format(PPTX, "a PowerPoint presentation", (".pptx", ".pptm"), Container.ZIP),
    Format(PPT, "an old PowerPoint presentation", (".ppt", ".pps", ".pot"), Container.OLE),
    Format(XLSX, "an Excel workbook", (".xlsx", ".xlsm", ".xltx", ".xltm"), Container.ZIP),
    Format(XLS, "an old Excel workbook", (".xls", ".xlt"), Container.OLE),
    Format(ODS, "an OpenDocument spreadsheet", (".ods", ".ots"), Container.ZIP),
    Format(CSV, "a table (CSV)", (".csv",), Container.PLAIN_TEXT),
    Format(TSV, "a table (TSV)", (".tsv", ".tab"), Container.PLAIN_TEXT),
    Format(HTML, "a web page (HTML)", (".html", ".htm", ".xhtml"), Container.PLAIN_TEXT),
    Format(XML, "an XML file", (".xml",)),
    Format(JSON, "a JSON file", (".json",)),
    Format(JSON_LINES, "a JSON Lines file", (".jsonl", ".ndjson")),
    Format(MARKDOWN, "a Markdown file", (".md", ".markdown"), Container.PLAIN_TEXT),
    Format(RST, "a reStructuredText file", (".rst",), Container.PLAIN_TEXT),
    Format(ORG, "an Org file", (".org",), Container.PLAIN_TEXT),
    Format(PLAIN, "plain text", (".txt", ".text"), Container.PLAIN_TEXT),
    Format(EML, "an email", (".eml",)),
    Format(MSG, "an Outlook email", (".msg",), Container.OLE),
    Format(PNG, "a PNG image", (".png",)),
    Format(JPEG, "a JPEG image", (".jpg", ".jpeg", ".jpe", ".jfif")),
    Format(TIFF, "a TIFF image", (".tiff", ".tif")),
    Format(ZIP, "a ZIP archive", (".zip",), Container.ZIP),
)
BY_MEDIA_TYPE: Final = {one.media_type: one for one in FORMATS}
BY_ENDING: Final = {ending: one for one in FORMATS for ending in one.endings}

_ONLY_KNOWN: Final = {
    SVG: "an SVG image",
    OLE: "an Office file of another kind",
    BINARY: "binary data",
    "application/vnd.oasis.opendocument.presentation": "an OpenDocument presentation",
    "application/vnd.oasis.opendocument.graphics": "an OpenDocument drawing",
    "application/vnd.visio": "a Visio drawing",
    "application/vnd.apple.iwork": "an Apple iWork document",
    "application/java-archive": "a Java archive",
    "application/vnd.android.package-archive": "an Android app",
    "application/x-msdownload": "a program",
    "application/x-executable": "a program",
    "application/x-7z-compressed": "a 7z archive",
    "application/x-rar-compressed": "a RAR archive",
    "application/vnd.rar": "a RAR archive",
    "application/gzip": "a gzip archive",
    "application/x-tar": "a tar archive",
    "image/gif": "a GIF image",
    "image/webp": "a WebP image",
    "image/bmp": "a BMP image",
    "image/heic": "a HEIC image",
    "video/mp4": "a video",
    "video/quicktime": "a video",
    "audio/mpeg": "a sound recording",
    "audio/x-wav": "a sound recording",
    "application/vnd.sqlite3": "a database",
}


def in_container(container: Container) -> frozenset[str]:
    """The media types of the formats stored in this container."""
    return frozenset(one.media_type for one in FORMATS if one.container is container)


def name_of(media_type: str) -> str:
    """Return a name of the format for people, which completes "the content is"."""
    if found := BY_MEDIA_TYPE.get(media_type):
        return found.name
    return _ONLY_KNOWN.get(media_type, f"of the type {media_type}")


def supported() -> str:
    """List the usual extensions of all formats for use in a sentence."""
    endings = [one.endings[0] for one in FORMATS]
    return f"{', '.join(endings[:-1])} or {endings[-1]}"
