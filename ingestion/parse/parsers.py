"""Which parser reads what; runs in the child process."""

from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from cairn.library.rendition import Rendition
from ingestion.parse import contained, delimited, detect, hypertext, markdown, pdf, plain, word
from ingestion.parse.limits import Limits
from ingestion.parse.serve import serve

Parser = Callable[[Path, Limits], Rendition]

PARSERS: Final[dict[str, Parser]] = {
    detect.PDF: pdf.parse,
    detect.DOCX: word.parse,
    detect.HTML: hypertext.parse,
    detect.MARKDOWN: markdown.parse,
    detect.CSV: delimited.parse,
    detect.PLAIN: plain.parse,
}


def parse_file(path: Path, filename: str, limits: Limits) -> tuple[str, Rendition]:
    """(media type, what was read). Raises DocumentRejected."""
    media_type = detect.detect(path, filename)
    return media_type, PARSERS[media_type](path, limits)


def main(connection: Connection) -> None:
    serve(connection, _handle)


def _handle(
    limits: Limits, path: str, filename: str, part: int | None = None
) -> tuple[dict[str, Any], bytes]:
    if part is not None:
        return {}, contained.read(Path(path), filename, part, limits)
    media_type, rendition = parse_file(Path(path), filename, limits)
    parts = contained.names(Path(path), media_type, limits)
    return {"media_type": media_type, "rendition": rendition.as_json(), "parts": parts}, b""
