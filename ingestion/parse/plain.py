"""Plain text: paragraphs are what blank lines part."""

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

from cairn.library.rendition import Rendition
from ingestion.parse.build import TEXT, RenditionBuilder
from ingestion.parse.limits import Limits
from ingestion.parse.text import decode


def parse(path: Path, limits: Limits) -> Rendition:
    builder = RenditionBuilder(limits)
    for paragraph in _paragraphs(decode(path.read_bytes())):
        builder.add(TEXT, paragraph)
    return builder.build()


def _paragraphs(text: str) -> Iterator[str]:
    lines: list[str] = []
    for line in text.replace("\f", "\n\n").split("\n"):
        if line.strip():
            lines.append(line.rstrip())
        elif lines:
            yield dedent("\n".join(lines))
            lines = []
    yield dedent("\n".join(lines))
