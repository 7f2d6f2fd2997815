"""Metadata of OpenDocument files."""

import zipfile
from pathlib import Path
from typing import Final

from lxml import etree

from ingestion.parse.archives import zip_guard
from ingestion.parse.text.cleaning import clean

_MEMBER: Final = "meta.xml"
_NAMES: Final = {
    "title": ("{http://purl.org/dc/elements/1.1/}title",),
    "author": (
        "{urn:oasis:names:tc:opendocument:xmlns:meta:1.0}initial-creator",
        "{http://purl.org/dc/elements/1.1/}creator",
    ),
    "date": (
        "{http://purl.org/dc/elements/1.1/}date",
        "{urn:oasis:names:tc:opendocument:xmlns:meta:1.0}creation-date",
    ),
    "language": ("{http://purl.org/dc/elements/1.1/}language",),
}
_LONGEST: Final = 300


def read(path: Path) -> dict[str, str]:
    """Return title, author, date and language, if present. The archive has been checked before."""
    try:
        with zipfile.ZipFile(path) as opened:
            parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
            root = etree.fromstring(opened.read(_MEMBER), parser)
    except (*zip_guard.BROKEN_ZIP, KeyError, etree.XMLSyntaxError):
        return {}
    texts = {node.tag: clean(node.text or "").strip() for node in root.iter("{*}*")}
    found = {key: next(filter(None, map(texts.get, names)), "") for key, names in _NAMES.items()}
    return {key: value[:_LONGEST] for key, value in found.items() if value}
