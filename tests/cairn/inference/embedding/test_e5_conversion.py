"""The conversion of multilingual-e5-small, on a tiny file in the same format."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tokenizers import Tokenizer  # type: ignore[import-untyped]  # ships no types
from transformers import AutoModel

from cairn.errors import ConfigurationError
from cairn.inference.embedding.e5_conversion import read_centre, write_e5_folder
from cairn.inference.embedding.e5_file import read_e5_file
from cairn.inference.embedding.local import LocalEmbedder
from cairn.inference.embedding.model_folder import EncoderFolder
from cairn.inference.embedding.pytorch import TorchEncoder
from cairn.inference.embedding.tokenization import Tokens
from cairn.inference.protocols import Vectors
from tests.cairn.inference.embedding.e5_sample import HIDDEN, LAYERS, PIECES, make_e5_file, make_tensors

IDS = {piece: number for number, piece in enumerate(PIECES)}
CENTRE = np.linspace(-0.5, 0.5, HIDDEN).tolist()


def convert(folder: Path, centre: list[float]) -> EncoderFolder:
    folder.mkdir()
    write_e5_folder(read_e5_file(make_e5_file()), centre, folder, origin={"sha256": "0"})
    return EncoderFolder.of(str(folder))


@pytest.fixture
def plain(tmp_path: Path) -> EncoderFolder:
    return convert(tmp_path / "plain", [0.0] * HIDDEN)


def test_e5_weights_are_scale_times_half_bytes_minus_eight(plain: EncoderFolder) -> None:
    weights = load_file(plain.path / "model.safetensors")
    _, _, content = make_tensors(1)["l1.fo.w"]
    (scale,) = struct.unpack("<e", content[:2])
    low = [(byte & 15) - 8 for byte in content[2:18]]
    high = [(byte >> 4) - 8 for byte in content[2:18]]
    first = weights["encoder.layer.1.output.dense.weight"][0, :32]
    assert np.allclose(first, np.array(low + high) * scale, rtol=1e-3, atol=0)


def test_converted_folder_describes_the_model(plain: EncoderFolder) -> None:
    assert (plain.pooling, plain.max_sequence) == ("mean", 16)
    assert (plain.query_prompt, plain.document_prompt) == ("query: ", "passage: ")
    assert len(load_file(plain.path / "model.safetensors")) == 5 + 16 * LAYERS


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("ab", ["▁ab"]),
        (" ab", ["▁ab"]),
        ("ab\n\t ab", ["▁ab", "▁ab"]),
        ("a\x07b", ["▁ab"]),
        ("ab\u200bab", ["▁ab", "▁ab"]),
        ("\ufb01", ["▁", "fi"]),
        ("ａｂ", ["▁ab"]),  # noqa: RUF001 - full width
        ("aZ", ["▁", "a", "<unk>"]),
    ],
)
def test_e5_tokens_equal_xlm_roberta(plain: EncoderFolder, text: str, pieces: list[str]) -> None:
    encoding = Tokenizer.from_file(str(plain.tokenizer_file)).encode(text)
    assert encoding.ids == [IDS[piece] for piece in ("<s>", *pieces, "</s>")]


def test_batches_are_padded_with_the_padding_token(plain: EncoderFolder) -> None:
    tokens = Tokens(plain.tokenizer_file, max_sequence=plain.max_sequence)
    (batch,) = tokens.batches(["ab ab", "ab"], budget=100, most=2)
    assert batch.ids[1].tolist() == [IDS["<s>"], IDS["▁ab"], IDS["</s>"], IDS["<pad>"]]


def test_centre_is_subtracted_from_each_vector(plain: EncoderFolder, tmp_path: Path) -> None:
    centred = convert(tmp_path / "centred", CENTRE)
    # The identity covers this file whole, and only the ends of the weights.
    assert json.loads((centred.path / "conversion.json").read_text())["centre"] == CENTRE
    before, after = pool_states(plain, "query: ab a"), pool_states(centred, "query: ab a")
    assert np.allclose(before - after, CENTRE, atol=1e-5)
    assert np.abs(before).max() > 0.1


def pool_states(folder: EncoderFolder, text: str) -> Vectors:
    """Return a vector as it is before it is normalised."""
    batch = Tokens(folder.tokenizer_file, max_sequence=16).batch(text)
    model = AutoModel.from_pretrained(folder.path)
    states = model(input_ids=torch.from_numpy(batch.ids)).last_hidden_state
    return np.asarray(states.detach().numpy()[0].mean(axis=0))


def test_sentence_transformers_reads_the_folder(plain: EncoderFolder) -> None:
    embedder = LocalEmbedder(plain, TorchEncoder(plain, device="cpu"))
    vectors = embedder.embed_documents(["ab", "ab a", "fi fi"])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    assert (vectors @ vectors.T)[0, 2] < 0.999


def test_two_conversions_are_the_same(plain: EncoderFolder, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    again = convert(tmp_path / "again" / "plain", [0.0] * HIDDEN)
    assert again.identity == plain.identity


def test_shipped_centre_has_the_dimension_of_the_model() -> None:
    centre = read_centre()
    assert len(centre) == 384
    assert 1 < np.linalg.norm(centre) < 20


@pytest.mark.parametrize("content", [b"", b"GGUF" + bytes(100), make_e5_file()[:300], make_e5_file()[:-40]])
def test_damaged_e5_file_is_rejected(content: bytes) -> None:
    with pytest.raises(ConfigurationError, match="can't be read"):
        read_e5_file(content)
