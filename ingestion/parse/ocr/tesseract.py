"""Text recognition by Tesseract: images to paragraphs with line positions."""

import csv
import functools
import io
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from PIL import Image

from cairn.library.rendition import Box
from ingestion.parse.core.limits import Limits
from ingestion.parse.ocr import deskew
from ingestion.parse.ocr.deskew import Turn
from ingestion.parse.sandbox import programs
from ingestion.parse.text.cleaning import clean

DPI: Final = 300
MOST_PIXELS: Final = 24_000_000
"""An A3 page at 300 dpi, and a little more; larger pictures are made smaller first."""
NOT_A_LANGUAGE: Final = ("osd", "equ", "snum")
"""What Tesseract lists among the languages it has data for."""

_DEFAULT_LANGUAGES: Final = ("eng", "deu", "fra", "spa", "ita", "nld", "por")
_WITH_ORIENTATION: Final = "1"
_WITHOUT_ORIENTATION: Final = "3"
_WHITE: Final = 255
_SMALLEST_SIDE: Final = 1000
_WORD_LEVEL: Final = 5
_SURE: Final = 0.5  # below this a paragraph is noise: a logo, a drawing, an alphabet that was not asked for
_TITLE: Final = 1.35


@dataclass(frozen=True, slots=True)
class Word:
    """A recognised word. `place` is block, paragraph and line; `box` is in pixels; `confidence` from 0 to
    1.
    """

    place: tuple[int, int, int]
    text: str
    box: Box
    confidence: float


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph. `lines` and their boxes, in fractions of the page, correspond."""

    lines: tuple[str, ...]
    boxes: tuple[Box, ...]
    is_heading: bool
    confidences: tuple[float, ...]


def read(picture: Image.Image, limits: Limits, *, seconds: float | None = None) -> list[Paragraph]:
    """Recognise paragraphs in reading order.

    Raises DocumentRejected if Tesseract is missing or takes longer than `seconds`.
    """
    fitted = _fit(picture)
    turn = Turn(deskew.degrees(fitted), fitted.size)
    level = (
        fitted.rotate(turn.degrees, Image.Resampling.BICUBIC, fillcolor=_WHITE) if turn.degrees else fitted
    )
    arguments = ["stdin", "stdout", "-l", "+".join(_languages(limits)), "--dpi", str(DPI)]
    arguments += ["--psm", _segmentation(limits), "-c", "tessedit_create_tsv=1"]
    data = programs.run(programs.TESSERACT, arguments, data=_pnm(level), limits=limits, seconds=seconds)
    return list(_paragraphs(list(_words(data.decode(errors="replace"))), turn))


def languages(limits: Limits) -> tuple[str, ...]:
    """Return the languages for which Tesseract has data."""
    listed = programs.run(programs.TESSERACT, ["--list-langs"], limits=limits).decode(errors="replace")
    return tuple(line.strip() for line in listed.splitlines()[1:] if line.strip())


@functools.cache
def _list_languages_once(limits: Limits) -> tuple[str, ...]:
    return languages(limits)


def _languages(limits: Limits) -> tuple[str, ...]:
    """Return the configured languages that are installed; else the common ones; else any."""
    installed = [name for name in _list_languages_once(limits) if name not in NOT_A_LANGUAGE]
    asked = [name for name in limits.ocr_languages.split("+") if name in installed]
    return tuple(asked or [name for name in _DEFAULT_LANGUAGES if name in installed] or installed[:1])


def _segmentation(limits: Limits) -> str:
    return _WITH_ORIENTATION if "osd" in _list_languages_once(limits) else _WITHOUT_ORIENTATION


def _fit(picture: Image.Image) -> Image.Image:
    """Convert an image to gray on white, in a size suited to Tesseract."""
    width, height = picture.size
    scale = min(1.0, (MOST_PIXELS / (width * height)) ** 0.5)
    if max(width, height) < _SMALLEST_SIDE:
        scale = 2.0
    gray = _on_white(picture).convert("L")
    if scale == 1.0:
        return gray
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    return gray.resize(size, Image.Resampling.LANCZOS if scale > 1 else Image.Resampling.BOX)


def _on_white(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)


def _pnm(gray: Image.Image) -> bytes:
    buffer = io.BytesIO()
    gray.save(buffer, format="PPM")
    return buffer.getvalue()


def _words(table: str) -> Iterator[Word]:
    for row in csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE):
        text = clean(row.get("text") or "").strip()
        if row["level"] != str(_WORD_LEVEL) or not text:
            continue
        left, top, width, height = (int(row[name]) for name in ("left", "top", "width", "height"))
        place = (int(row["block_num"]), int(row["par_num"]), int(row["line_num"]))
        yield Word(place, text, (left, top, left + width, top + height), float(row["conf"]) / 100)


def _paragraphs(words: Sequence[Word], turn: Turn) -> Iterator[Paragraph]:
    lines = [list(line) for _, line in groupby(words, key=lambda word: word.place)]
    usual = statistics.median(map(_height, lines)) if lines else 0.0
    for _, members in groupby(lines, key=lambda line: line[0].place[:2]):
        paragraph = list(members)
        if _is_sure(word for line in paragraph for word in line):
            yield _paragraph(paragraph, usual, turn)


def _height(line: Sequence[Word]) -> float:
    return statistics.median(word.box[3] - word.box[1] for word in line)


def _is_sure(words: Iterable[Word]) -> bool:
    spoken = [word for word in words if any(map(str.isalnum, word.text))]
    return bool(spoken) and statistics.mean(word.confidence for word in spoken) >= _SURE


def _paragraph(lines: Sequence[Sequence[Word]], usual: float, turn: Turn) -> Paragraph:
    texts = tuple(" ".join(word.text for word in line) for line in lines)
    alone = len(lines) == 1 and not texts[0].endswith((".", ",", ";", ":"))
    is_heading = alone and _height(lines[0]) > _TITLE * usual and sum(map(str.isalpha, texts[0])) > 2
    confidences = tuple(word.confidence for line in lines for word in line)
    return Paragraph(texts, tuple(_bounding_box(line, turn) for line in lines), is_heading, confidences)


def _bounding_box(line: Sequence[Word], turn: Turn) -> Box:
    lefts, tops, rights, bottoms = zip(*(word.box for word in line), strict=True)
    left, top, right, bottom = turn.back((min(lefts), min(tops), max(rights), max(bottoms)))
    width, height = turn.size
    return _share(left, width), _share(top, height), _share(right, width), _share(bottom, height)


def _share(part: float, whole: int) -> float:
    return round(min(max(part / whole, 0.0), 1.0), 5)
