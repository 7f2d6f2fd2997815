"""Text to padded batches of token ids."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer  # type: ignore[import-untyped]  # ships no types

_LONGEST_TOKEN = 200  # characters; BERT's word pieces give up at 100
_LONGEST_WORD = 64
_MAX_CACHED_WORDS = 200_000
_MAX_TEXTS_PER_CALL = 2_000
Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """`ids`, `mask`: (texts, longest text); `rows` has the indexes of the texts."""

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
        self.special_tokens: int = self._counting.num_special_tokens_to_add(is_pair=False)
        self.max_tokens: int = max_sequence - self.special_tokens
        self._words = WordCounts(self._count_in_batches) if _splits_at_words(self._counting) else None

    def count(self, texts: Sequence[str]) -> list[int]:
        return self._words.count(texts) if self._words else self._count_in_batches(texts)

    def _count_in_batches(self, texts: Sequence[str]) -> list[int]:
        """Count some at a time: each encoding takes a kilobyte, and other threads wait for each call."""
        counts: list[int] = []
        for start in range(0, len(texts), _MAX_TEXTS_PER_CALL):
            some = [replace_surrogates(text) for text in texts[start : start + _MAX_TEXTS_PER_CALL]]
            counts += map(len, self._counting.encode_batch_fast(some, add_special_tokens=False))
        return counts

    def batch(self, text: str) -> Batch:
        return self._pad_encodings([0], self._cut([text]))

    def batches(self, texts: Sequence[str], *, budget: int, most: int) -> Iterator[Batch]:
        """Texts of like length together, longest first; at most `budget` tokens, padding included."""
        encodings = self._cut(texts)
        rows = sorted(range(len(texts)), key=lambda row: -len(encodings[row]))
        while rows:
            size = min(most, max(1, budget // max(1, len(encodings[rows[0]]))))
            yield self._pad_encodings(rows[:size], encodings)
            rows = rows[size:]

    def _cut(self, texts: Sequence[str]) -> list[Encoding]:
        cut = [replace_surrogates(text[: self._max_characters]) for text in texts]
        encodings: list[Encoding] = self._cutting.encode_batch_fast(cut)
        return encodings

    def _pad_encodings(self, rows: list[int], encodings: list[Encoding]) -> Batch:
        width = max(len(encodings[row]) for row in rows)
        ids = np.full((len(rows), width), self._pad, np.int64)
        mask = np.zeros((len(rows), width), np.int64)
        for at, row in enumerate(rows):
            tokens = encodings[row].ids
            ids[at, : len(tokens)] = tokens
            mask[at, : len(tokens)] = 1
        return Batch(rows, ids, mask)


class WordCounts:
    """Counts tokens word by word, each word once: five times as fast if a text is the sum of its words."""

    def __init__(self, count: Callable[[Sequence[str]], list[int]]) -> None:
        self._count = count
        self._known: dict[str, int] = {}

    def count(self, texts: Sequence[str]) -> list[int]:
        words = [text.replace("\n", " ").replace("\t", " ").replace("\r", " ").split(" ") for text in texts]
        known, long = self._count_words({word for each in words for word in each})
        if not long:
            return [sum(map(known.__getitem__, each)) for each in words]
        return [sum(long[word] if word in long else known[word] for word in each) for each in words]

    def _count_words(self, words: set[str]) -> tuple[dict[str, int], dict[str, int]]:
        """Return the counts of short words and of long ones, which seldom recur and would fill memory."""
        if len(self._known) > _MAX_CACHED_WORDS:
            self._known = {}
        known = self._known
        new = list(words - known.keys())
        counts = dict(zip(new, self._count(new), strict=True)) if new else {}
        known.update((word, count) for word, count in counts.items() if len(word) <= _LONGEST_WORD)
        return known, {word: count for word, count in counts.items() if len(word) > _LONGEST_WORD}


def _splits_at_words(tokenizer: Tokenizer) -> bool:
    """Return whether words can be tokenized separately, as with BERT's tokenizer."""
    parts = json.loads(tokenizer.to_str())
    kinds = [(parts.get(part) or {}).get("type") for part in ("normalizer", "pre_tokenizer")]
    added = [token["content"] for token in parts.get("added_tokens", ())]
    return kinds == ["BertNormalizer", "BertPreTokenizer"] and not any(" " in content for content in added)


def replace_surrogates(text: str) -> str:
    """Half a surrogate pair passes JSON but not the tokenizer."""
    return text.encode("utf-8", "replace").decode("utf-8")
