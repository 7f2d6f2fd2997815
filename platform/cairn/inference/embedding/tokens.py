"""Text to padded batches of token ids."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer  # type: ignore[import-untyped]  # ships no types

_LONGEST_TOKEN = 200  # characters; BERT's word pieces give up at 100
Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """`ids`, `mask`: (texts, longest text); `rows` says which texts they are."""

    rows: list[int]
    ids: Ids
    mask: Ids


class Tokens:
    """A fast tokenizer; threads may share it."""

    def __init__(self, path: Path, *, max_sequence: int) -> None:
        self._counting = Tokenizer.from_file(str(path))
        padding = self._counting.padding
        self._pad = int(padding["pad_id"]) if padding else 0
        self._counting.no_padding()
        self._counting.no_truncation()
        # Truncation is a setting of the tokenizer, not of a call: hence two of them.
        self._cutting = Tokenizer.from_str(self._counting.to_str())
        self._cutting.enable_truncation(max_sequence)
        self._max_characters = max_sequence * _LONGEST_TOKEN
        self.max_tokens: int = max_sequence - self._counting.num_special_tokens_to_add(is_pair=False)

    def count(self, texts: Sequence[str]) -> list[int]:
        encodings = self._counting.encode_batch_fast(
            [_encodable(text) for text in texts], add_special_tokens=False
        )
        return [len(encoding) for encoding in encodings]

    def batch(self, text: str) -> Batch:
        return self._padded([0], self._cut([text]))

    def batches(self, texts: Sequence[str], *, budget: int, most: int) -> Iterator[Batch]:
        """Texts of like length together, longest first; at most `budget` tokens, padding included."""
        encodings = self._cut(texts)
        rows = sorted(range(len(texts)), key=lambda row: -len(encodings[row]))
        while rows:
            size = min(most, max(1, budget // max(1, len(encodings[rows[0]]))))
            yield self._padded(rows[:size], encodings)
            rows = rows[size:]

    def _cut(self, texts: Sequence[str]) -> list[Encoding]:
        cut = [_encodable(text[: self._max_characters]) for text in texts]
        encodings: list[Encoding] = self._cutting.encode_batch_fast(cut)
        return encodings

    def _padded(self, rows: list[int], encodings: list[Encoding]) -> Batch:
        width = max(len(encodings[row]) for row in rows)
        ids = np.full((len(rows), width), self._pad, np.int64)
        mask = np.zeros((len(rows), width), np.int64)
        for at, row in enumerate(rows):
            tokens = encodings[row].ids
            ids[at, : len(tokens)] = tokens
            mask[at, : len(tokens)] = 1
        return Batch(rows, ids, mask)


def _encodable(text: str) -> str:
    """Half a surrogate pair passes JSON but not the tokenizer."""
    return text.encode("utf-8", "replace").decode("utf-8")
