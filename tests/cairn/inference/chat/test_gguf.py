import struct
from pathlib import Path

import pytest

from cairn.errors import ConfigurationError
from cairn.inference.chat.gguf import GgufHeader, read_header

U32, I32, STRING, ARRAY, U64 = 4, 5, 8, 9, 10


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def strings(*texts: str) -> bytes:
    return struct.pack("<IIQ", ARRAY, STRING, len(texts)) + b"".join(map(string, texts))


def numbers(*values: int) -> bytes:
    return struct.pack(f"<IIQ{len(values)}i", ARRAY, I32, len(values), *values)


FIELDS = {
    "general.architecture": struct.pack("<I", STRING) + string("llama"),
    "nested": struct.pack("<IIQ", ARRAY, ARRAY, 1) + numbers(1)[4:],
    "llama.context_length": struct.pack("<II", U32, 8192),
    "tokenizer.ggml.tokens": strings("<s>", "a", "<|end|>"),
    "tokenizer.ggml.token_type": numbers(3, 1, 3),
}


def write(path: Path, fields: dict[str, bytes], *, magic: bytes = b"GGUF", version: int = 3) -> Path:
    head = struct.pack("<4sIQQ", magic, version, 0, len(fields))
    path.write_bytes(head + b"".join(string(name) + value for name, value in fields.items()))
    return path


def test_gguf_header_is_read(tmp_path: Path) -> None:
    header = read_header(write(tmp_path / "m.gguf", FIELDS))
    assert header == GgufHeader("llama", 8192, ("<s>", "<|end|>"))


def test_smollm(gguf: Path) -> None:
    header = read_header(gguf)
    assert (header.architecture, header.context_tokens) == ("llama", 8192)
    assert {"<|im_start|>", "<|im_end|>"} <= set(header.control_tokens)


def test_header_without_a_vocabulary_is_read(tmp_path: Path) -> None:
    fields = {name: value for name, value in FIELDS.items() if not name.startswith("tokenizer")}
    assert read_header(write(tmp_path / "m.gguf", fields)).control_tokens == ()


@pytest.mark.parametrize("kept", [0, 3, 10, 24, 60, 150])
def test_truncated_gguf_is_damaged(tmp_path: Path, kept: int) -> None:
    path = write(tmp_path / "m.gguf", FIELDS)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ConfigurationError, match="not a GGUF file, or is damaged"):
        read_header(path)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"general.architecture": FIELDS["general.architecture"]},
        {"x": struct.pack("<I", 99)},
        {"x": struct.pack("<IQ", STRING, 1 << 60)},
        {"x": struct.pack("<IIQ", ARRAY, U64, 1 << 60)},
        {"x": struct.pack("<IIQ", ARRAY, STRING, 1 << 60)},
        {"x": struct.pack("<IIQ", ARRAY, 77, 1)},
    ],
)
def test_nonsense_is_damaged(tmp_path: Path, fields: dict[str, bytes]) -> None:
    with pytest.raises(ConfigurationError, match="not a GGUF file, or is damaged"):
        read_header(write(tmp_path / "m.gguf", fields))


def test_other_formats_and_versions_are_rejected(tmp_path: Path) -> None:
    for path in (
        write(tmp_path / "a", FIELDS, magic=b"GGML"),
        write(tmp_path / "b", FIELDS, version=1),
    ):
        with pytest.raises(ConfigurationError, match="not a GGUF"):
            read_header(path)


def test_missing_gguf_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.gguf cannot be read: No such file"):
        read_header(tmp_path / "absent.gguf")
