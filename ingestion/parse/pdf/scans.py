"""Text recognition of scanned pages within the limits, with warnings about unread ones."""

import re
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from PIL import Image

from cairn.errors import DocumentRejected, Rejection
from cairn.messages import CodedMessage
from ingestion.parse.core.limits import Limits
from ingestion.parse.core.rendition_builder import RenditionBuilder
from ingestion.parse.ocr import tesseract
from ingestion.parse.ocr.tesseract import Paragraph
from ingestion.parse.pdf.hyphenation import Speller
from ingestion.parse.pdf.lines import BROKEN_WORD
from ingestion.parse.sandbox import programs

_SHARE_OF_TIME: Final = 0.7
_PARAGRAPH: Final = "NarrativeText"
_BROKEN: Final = re.compile(r"(?<=[^\W\d_])-$")


class Scans:
    """Scanned pages of a document, numbered from 1. `read` are those with recognised text."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._deadline = time.monotonic() + _SHARE_OF_TIME * limits.seconds
        self._confidences: list[float] = []
        self._tried = 0
        self._skipped: list[int] = []
        self._broken: list[int] = []
        self.read: dict[int, list[Paragraph]] = {}

    def add(self, number: int, picture: Callable[[], Image.Image]) -> None:
        """Recognise a page. `picture` is only called if the page will be read."""
        left = self._deadline - time.monotonic()
        if self.is_missing or left <= 0 or self._tried >= self._limits.ocr_pages:
            self._skipped.append(number)
            return
        self._tried += 1
        if found := self._recognise_page(number, picture(), left):
            self.read[number] = found
            self._confidences += [sure for paragraph in found for sure in paragraph.confidences]

    def _recognise_page(self, number: int, picture: Image.Image, seconds: float) -> list[Paragraph]:
        try:
            return tesseract.read(picture, self._limits, seconds=seconds)
        except programs.ProgramFailed:
            self._broken.append(number)
        except DocumentRejected as error:
            if error.reason is not Rejection.TIME_LIMIT:
                raise
            self._skipped.append(number)
        return []

    @property
    def is_missing(self) -> bool:
        """Return whether Tesseract is not installed."""
        return programs.find(programs.TESSERACT) is None

    @property
    def confidence(self) -> float | None:
        return round(statistics.fmean(self._confidences), 3) if self._confidences else None

    @property
    def is_cut_short(self) -> bool:
        return bool(self._skipped)

    def warnings(self) -> list[CodedMessage]:
        unread = "pages_need_ocr" if self.is_missing else "pages_out_of_time"
        rows = ((unread, self._skipped), ("pages_failed_ocr", self._broken))
        return [_about_pages(code, numbers) for code, numbers in rows if numbers]


def _about_pages(code: str, numbers: Sequence[int]) -> CodedMessage:
    return CodedMessage(code, count=len(numbers), numbers=_ranges(numbers))


def _ranges(numbers: Sequence[int]) -> str:
    """Format page numbers as ranges: 1-3, 7, 9-12."""
    runs: list[list[int]] = [[numbers[0]]]
    for before, number in pairwise(numbers):
        if number == before + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def write(paragraphs: Sequence[Paragraph], number: int, builder: RenditionBuilder) -> None:
    lines = [[_BROKEN.sub(BROKEN_WORD, line) for line in paragraph.lines] for paragraph in paragraphs]
    speller = Speller([line for group in lines for line in group])
    for paragraph, group in zip(paragraphs, lines, strict=True):
        text = speller.join_lines(group)
        if paragraph.is_heading:
            builder.heading(0, text, page=number, boxes=paragraph.boxes)
        else:
            builder.add(_PARAGRAPH, text, page=number, boxes=paragraph.boxes)
