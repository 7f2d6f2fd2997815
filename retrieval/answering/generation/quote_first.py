"""Reads answers that begin with a quote: the model names the sentence that it relies on before it answers."""

import re
from collections.abc import Sequence
from typing import Final

from retrieval.answering.text.citation_markers import strip_markers

MAX_QUOTE: Final = 1500
"""Characters after which a quote that hasn't ended is no sentence."""
MIN_QUOTE: Final = 12
"""Characters from which a quote says enough to be relied on."""

_QUOTE: Final = re.compile(r"\s*\**Quote\**\s*:\**", re.IGNORECASE)
_ANSWER: Final = re.compile(r"(?:^|\n)\s*\**Answer\**\s*:\**\s*", re.IGNORECASE)
_LONGEST_LABEL: Final = 16
_OUTER: Final = "\"'“”„‚‘’«»‹›*_ \t\n"  # noqa: RUF001
_QUOTATION_MARKS: Final = str.maketrans(dict.fromkeys("“”„‟«»", '"') | dict.fromkeys("‘’‚‹›", "'"))  # noqa: RUF001


class QuoteFirstReader:
    """Takes the model's text piece by piece and returns the text of its answer.

    Nothing is returned before a quote that occurs verbatim in one of the passages. If none does,
    `is_rejected` becomes true. Text that doesn't begin with a quote is returned as it is.
    """

    def __init__(self, passages: Sequence[str]) -> None:
        self._passages = [_normalize(text) for text in passages]
        self._buffer = ""
        self._is_open = False
        self.is_rejected = False

    def feed(self, piece: str) -> str:
        """Return what belongs to the answer, once that is known."""
        if self._is_open:
            return piece
        if self.is_rejected:
            return ""
        self._buffer += piece
        return self._read_buffer(is_complete=False)

    def close(self) -> str:
        """Return the rest after the last piece."""
        return "" if self._is_open or self.is_rejected else self._read_buffer(is_complete=True)

    def _read_buffer(self, *, is_complete: bool) -> str:
        label = _QUOTE.match(self._buffer)
        if label is None:
            begins = len(self._buffer.strip()) >= _LONGEST_LABEL or is_complete
            return self._release(_ANSWER.sub("", self._buffer, count=1)) if begins else ""
        answer = _ANSWER.search(self._buffer, label.end())
        if answer is None or (answer.end() == len(self._buffer) and not is_complete):
            self.is_rejected = is_complete or len(self._buffer) > MAX_QUOTE
            return ""
        if not self._is_verbatim(self._buffer[label.end() : answer.start()]):
            self.is_rejected = True
            return ""
        return self._release(self._buffer[answer.end() :])

    def _release(self, text: str) -> str:
        self._is_open, self._buffer = True, ""
        return text

    def _is_verbatim(self, quote: str) -> bool:
        text, _ = strip_markers(quote)
        sought = _normalize(text.strip(_OUTER).removesuffix("…").removesuffix("...").strip(_OUTER))
        return len(sought) >= MIN_QUOTE and any(sought in passage for passage in self._passages)


def _normalize(text: str) -> str:
    """Return the text with single spaces and plain quotation marks, in lower case and without Markdown
    emphasis."""
    plain = text.translate(_QUOTATION_MARKS).replace("**", "").replace("__", "")
    return " ".join(plain.split()).casefold()
