"""Images of text: photographs, screenshots and scans, including multi-page TIFF files."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from PIL import Image, ImageOps, ImageSequence

from cairn.errors import DocumentRejected, Rejection
from cairn.library.rendition import Rendition, Report
from cairn.messages import CodedMessage
from ingestion.parse.core import failures, progress
from ingestion.parse.core.limits import Limits
from ingestion.parse.core.rendition_builder import RenditionBuilder
from ingestion.parse.pdf import scans
from ingestion.parse.sandbox import programs

_KIND: Final = "image"
_FORMATS: Final = ("PNG", "JPEG", "TIFF")
_MOST_PIXELS: Final = 150_000_000
# what Pillow raises on files that are cut off or make no sense
_DAMAGE: Final = (OSError, SyntaxError, ValueError, EOFError, TypeError, KeyError, struct.error, zlib.error)

Image.MAX_IMAGE_PIXELS = None  # our own limit applies, and its message is helpful


def parse(path: Path, limits: Limits) -> Rendition:
    if programs.find(programs.TESSERACT) is None:
        raise programs.missing(programs.TESSERACT)
    found = scans.Scans(limits)
    with _damage_named(), Image.open(path, formats=_FORMATS) as opened:
        pages = _count_pages(opened, limits)
        for number, frame in enumerate(ImageSequence.Iterator(opened), 1):
            _check_size(frame)
            found.add(number, lambda frame=frame: _upright(frame))  # type: ignore[misc]
            progress.report(number, pages)
    return _rendition(found, pages, limits)


@contextmanager
def _damage_named() -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise failures.damaged(_KIND) from error


def _count_pages(opened: Image.Image, limits: Limits) -> int:
    pages = int(getattr(opened, "n_frames", 1))
    if pages > limits.pages:
        raise failures.too_many_pages(pages, limits.pages)
    return pages


def _check_size(frame: Image.Image) -> None:
    """Check the size in the header, before anything is decompressed."""
    width, height = frame.size
    if width * height > _MOST_PIXELS:
        limit = _MOST_PIXELS // 10**6
        raise DocumentRejected(
            Rejection.TOO_LARGE, CodedMessage("too_large_image", width=width, height=height, limit=limit)
        )


def _upright(frame: Image.Image) -> Image.Image:
    """Apply the orientation recorded by the camera."""
    frame.load()
    return ImageOps.exif_transpose(frame)


def _rendition(found: scans.Scans, pages: int, limits: Limits) -> Rendition:
    if not found.read:
        raise _unread(found, limits)
    builder = RenditionBuilder(limits)
    for number, paragraphs in found.read.items():
        scans.write(paragraphs, number, builder)
    report = Report(
        pages_without_text=tuple(number for number in range(1, pages + 1) if number not in found.read),
        ocr_pages=tuple(found.read),
        ocr_confidence=found.confidence,
        truncated=found.is_cut_short,
        warnings=tuple(found.warnings()),
    )
    return builder.build(title=builder.first_heading, pages=pages, report=report)


def _unread(found: scans.Scans, limits: Limits) -> DocumentRejected:
    if found.is_cut_short:
        return failures.time_limit(limits.seconds)
    return failures.no_text(CodedMessage("no_text_in_image"))
