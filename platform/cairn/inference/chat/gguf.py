"""Reads the header of a GGUF file, which describes the model.

Format: docs/gguf.md of ggml, versions 2 and 3.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cairn.errors import ConfigurationError

_MAGIC = b"GGUF"
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_CONTROL = 3  # a token type
_MOST_ENTRIES = 10_000
_LONGEST = 64 << 20  # bytes of one string, items of one array; more means a damaged file


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """`control_tokens` such as turn markers steer the model; text from users must not contain them."""

    architecture: str
    context_tokens: int
    control_tokens: tuple[str, ...]


def read_header(path: Path) -> GgufHeader:
    try:
        with path.open("rb") as stream:
            fields = dict(_fields(stream))
        architecture = str(fields["general.architecture"])
        return GgufHeader(
            architecture=architecture,
            context_tokens=int(fields[f"{architecture}.context_length"]),
            control_tokens=_control_tokens(fields),
        )
    except OSError as error:
        raise ConfigurationError(f"LLM_MODEL {path} cannot be read: {error.strerror}") from error
    except (KeyError, ValueError, struct.error) as error:
        raise ConfigurationError(f"LLM_MODEL {path} is not a GGUF file, or is damaged") from error


def _control_tokens(fields: dict[str, Any]) -> tuple[str, ...]:
    tokens = fields.get("tokenizer.ggml.tokens", [])
    types = fields.get("tokenizer.ggml.token_type", [])
    return tuple(token for token, kind in zip(tokens, types, strict=False) if kind == _CONTROL)


def _fields(stream: BinaryIO) -> Iterator[tuple[str, Any]]:
    magic, version, _tensors, entries = struct.unpack("<4sIQQ", stream.read(24))
    if magic != _MAGIC or version not in {2, 3} or entries > _MOST_ENTRIES:
        raise ValueError(magic)
    for _ in range(entries):
        name = _string(stream)
        yield name, _value(stream, _number(stream, "I"))


def _value(stream: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(stream)
    if kind == _ARRAY:
        return _array(stream)
    return _number(stream, _SCALARS[kind])


def _array(stream: BinaryIO) -> list[Any]:
    kind, length = _number(stream, "I"), _check_length(_number(stream, "Q"))
    if kind in _SCALARS:
        layout = struct.Struct(f"<{length}{_SCALARS[kind]}")
        return list(layout.unpack(stream.read(layout.size)))
    read: Callable[[BinaryIO], Any] = {_STRING: _string, _ARRAY: _array}[kind]
    return [read(stream) for _ in range(length)]


def _string(stream: BinaryIO) -> str:
    return stream.read(_check_length(_number(stream, "Q"))).decode("utf-8", "replace")


def _number(stream: BinaryIO, code: str) -> Any:
    layout = struct.Struct(f"<{code}")
    return layout.unpack(stream.read(layout.size))[0]


def _check_length(length: int) -> int:
    if length > _LONGEST:
        raise ValueError(length)
    return length
