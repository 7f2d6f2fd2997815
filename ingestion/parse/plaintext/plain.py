"""Plain text, split into paragraphs at blank lines."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from string import whitespace
from textwrap import dedent
from typing import Final

from cairn.library.rendition import Rendition, Report
from cairn.messages import CodedMessage
from ingestion.parse.core.limits import Limits
from ingestion.parse.core.rendition_builder import TEXT, RenditionBuilder
from ingestion.parse.text.cleaning import decode, looks_binary

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]{20,}={0,2}")
_DECODED: Final = CodedMessage("base64")


def parse(path: Path, limits: Limits) -> Rendition:
    data = path.read_bytes()
    packed = _decode_base64(data)
    builder = RenditionBuilder(limits)
    text = decode(data if packed is None else packed)
    builder.admit(len(text) - sum(map(text.count, whitespace)))
    for paragraph in _paragraphs(text):
        builder.add(TEXT, paragraph)
    return builder.build(report=Report(warnings=() if packed is None else (_DECODED,)))


def _decode_base64(data: bytes) -> bytes | None:
    """Decode a file that consists of one base64 block."""
    block = b"".join(data.split())
    if len(block) % 4 or not _BASE64.fullmatch(block):
        return None
    found = base64.b64decode(block)
    return None if looks_binary(found) or b" " not in found else found


def _paragraphs(text: str) -> Iterator[str]:
    lines: list[str] = []
    for line in text.replace("\f", "\n\n").split("\n"):
        if line.strip():
            lines.append(line.rstrip())
        elif lines:
            yield dedent("\n".join(lines))
            lines = []
    yield dedent("\n".join(lines))
