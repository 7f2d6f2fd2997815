"""Detection of markup and data formats by their beginning."""

import json
import re
from typing import Final

from ingestion.parse.core import formats

_PROLOG: Final = re.compile(
    r"\s*(?:<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[[^\]]*\][^>]*)?>)", re.DOTALL | re.IGNORECASE
)
_ROOT: Final = re.compile(r"\s*<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)")
_XML_STARTS: Final = ("<?xml", "<!doctype")
_HTML_STARTS: Final = ("<!doctype html", "<html")
_JSON_STARTS: Final = ("{", "[", '"', "-", "true", "false", "null", *"0123456789")


def kind_of(sample: str) -> str | None:
    """Return HTML, XML, SVG or RTF if the text begins like one of them."""
    start = sample.lstrip()
    if start.startswith("{\\rtf"):
        return formats.RTF
    if start[:20].lower().startswith(_HTML_STARTS):
        return formats.HTML
    root = _root(start)
    if root in ("html", "svg"):
        return formats.HTML if root == "html" else formats.SVG
    return formats.XML if start[:20].lower().startswith(_XML_STARTS) else None


def _root(start: str) -> str | None:
    """Return the lower-case name of the root element."""
    while found := _PROLOG.match(start):
        start = start[found.end() :]
    element = _ROOT.match(start)
    return element.group(1).lower() if element else None


def starts_like_json(sample: str) -> bool:
    return sample.lstrip().startswith(_JSON_STARTS)


def is_json(text: str) -> bool:
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True
