"""Join words broken at line ends, using the rest of the document to decide about hyphens."""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Final

from ingestion.parse.pdf.lines import BROKEN_WORD

_WORD: Final = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_EDGE: Final = re.compile(r"[\w-]+$")
_START: Final = re.compile(r"^[\w-]+")


class Speller:
    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    @cached_property
    def _known(self) -> set[str]:
        """Words of the document, collected lazily: many documents have no broken words."""
        words: set[str] = set()
        for text in self._texts:
            words.update(_WORD.findall(text))
        return set(map(str.lower, words))

    def join_lines(self, lines: Sequence[str]) -> str:
        """Join lines into one paragraph."""
        text = ""
        for line in lines:
            text = self._join(text, line) if text.endswith(BROKEN_WORD) else f"{text} {line}".strip()
        return text.removesuffix(BROKEN_WORD) + ("-" if text.endswith(BROKEN_WORD) else "")

    def _join(self, text: str, line: str) -> str:
        head = text.removesuffix(BROKEN_WORD)
        begun, ended = _EDGE.search(head), _START.search(line)
        if begun and ended and self._has_hyphen(begun.group(), ended.group()):
            return f"{head}-{line}"
        return head + line

    def _has_hyphen(self, begun: str, ended: str) -> bool:
        if not (ended[0].islower() and begun[-1].islower()):
            return True
        whole, parted = f"{begun}{ended}".lower(), f"{begun}-{ended}".lower()
        return parted in self._known and whole not in self._known
