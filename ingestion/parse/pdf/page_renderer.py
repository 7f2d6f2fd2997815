"""Images of PDF pages, rendered in a separate child process to run beside parsing."""

import io
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import pypdfium2

from ingestion.parse.core.limits import Limits
from ingestion.parse.pdf import pdf_document
from ingestion.parse.sandbox.loop import serve

_WIDEST: Final = 4000
_HIGHEST: Final = 8000


def render(path: Path, page_number: int, width: int) -> bytes | None:
    """Return page `page` (from 1) as PNG, `width` pixels wide; None if missing. Raises DocumentRejected."""
    document = pdf_document.open_document(path)
    try:
        if not 1 <= page_number <= len(document):
            return None
        return _png(document[page_number - 1], width)
    finally:
        document.close()


def _png(page: pypdfium2.PdfPage, width: int) -> bytes:
    across, down = page.get_size()
    scale = min(min(width, _WIDEST) / max(across, 1), _HIGHEST / max(down, 1))
    buffer = io.BytesIO()
    page.render(scale=scale).to_pil().save(buffer, format="PNG")
    return buffer.getvalue()


def main(connection: Connection) -> None:
    serve(connection, _handle)


def _handle(limits: Limits, path: str, page_number: int, width: int) -> tuple[dict[str, Any], bytes]:  # noqa: ARG001
    picture = render(Path(path), page_number, width)
    return {"found": picture is not None}, picture or b""
