"""Pairs of texts to padded batches of tokens; a text that is too long is read in windows that overlap."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer  # type: ignore[import-untyped]  # ships no types

Ids = NDArray[np.int64]
LONGEST_TEXT = 20_000  # characters
SHORT_SHARE = 3  # the text that is not read in windows gets at most a third of the tokens
OVERLAP = 4  # windows share a fourth of their tokens


@dataclass(frozen=True, slots=True)
class Windows:
    """`ids`, `mask`, `types`: (windows, longest). `pairs` says which pair each window is of, `second` (the
    same shape) which of its tokens are of the second text, without special ones."""

    pairs: tuple[int, ...]
    ids: Ids
    mask: Ids
    types: Ids
    second: NDArray[np.bool_]


class PairTokens:
    """`longest`: tokens of a pair, special ones included. Threads may share it."""

    def __init__(self, tokenizer: Tokenizer, *, longest: int) -> None:
        self._longest = longest
        self._cut = [_cutting(tokenizer, longest, strategy) for strategy in ("only_first", "only_second")]
        padding = tokenizer.padding
        self._pad = int(padding["pad_id"]) if padding else (tokenizer.token_to_id("[PAD]") or 0)
        self._plain = Tokenizer.from_str(tokenizer.to_str())
        self._plain.no_padding()
        self._plain.no_truncation()

    def windows(self, pairs: Sequence[tuple[str, str]], *, long: int, most: int) -> Iterator[Windows]:
        """Batches of at most `most` windows, those of like length together."""
        found = [
            (row, window)
            for row, encoding in enumerate(self._encode_pairs(pairs, long))
            for window in (encoding, *encoding.overflowing)
        ]
        found.sort(key=lambda item: -len(item[1]))
        for start in range(0, len(found), most):
            yield self._pad_encodings(found[start : start + most])

    def _encode_pairs(self, pairs: Sequence[tuple[str, str]], long: int) -> list[Encoding]:
        fitted = []
        for pair in pairs:
            texts = [_encodable(text) for text in pair]
            texts[1 - long] = self._short(texts[1 - long])
            fitted.append(tuple(texts))
        encodings: list[Encoding] = self._cut[long].encode_batch(fitted)
        return encodings

    def _short(self, text: str) -> str:
        offsets = self._plain.encode(text, add_special_tokens=False).offsets
        most = self._longest // SHORT_SHARE
        return text if len(offsets) <= most else text[: offsets[most - 1][1]]

    def _pad_encodings(self, found: Sequence[tuple[int, Encoding]]) -> Windows:
        width = max(len(encoding) for _, encoding in found)
        shape = (len(found), width)
        ids, mask = np.full(shape, self._pad, np.int64), np.zeros(shape, np.int64)
        types, second = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
        for at, (_, encoding) in enumerate(found):
            own = slice(0, len(encoding))
            ids[at, own], types[at, own], mask[at, own] = encoding.ids, encoding.type_ids, 1
            second[at, own] = [sequence == 1 for sequence in encoding.sequence_ids]
        return Windows(tuple(row for row, _ in found), ids, mask, types, second)


def _cutting(tokenizer: Tokenizer, longest: int, strategy: str) -> Tokenizer:
    # Truncation is a setting of the tokenizer, not of a call: hence one for each.
    cutting = Tokenizer.from_str(tokenizer.to_str())
    cutting.no_padding()
    cutting.enable_truncation(longest, stride=longest // OVERLAP, strategy=strategy)
    return cutting


def _encodable(text: str) -> str:
    """Half a surrogate pair passes JSON but not the tokenizer."""
    return text[:LONGEST_TEXT].encode("utf-8", "replace").decode("utf-8")
