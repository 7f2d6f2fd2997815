import json
from pathlib import Path
from typing import Any

import pytest

from cairn.errors import ConfigurationError
from cairn.inference.embedding.model_folder import EncoderFolder

MODULES = ["Transformer", "Pooling", "Normalize"]


def make(folder: Path, *, modules: list[str] = MODULES, **files: dict[str, Any]) -> EncoderFolder:
    listed = [
        {
            "idx": number,
            "path": f"{number}_{kind}" if number else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for number, kind in enumerate(modules)
    ]
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps(files.pop("pooling", {"pooling_mode": "mean"}))
    )
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return EncoderFolder.of(str(folder))


def test_minilm_is_loaded_from_its_package(minilm: EncoderFolder) -> None:
    assert minilm.name == "all-MiniLM-L6-v2"
    assert (minilm.path / "model.safetensors").is_file()
    assert minilm.max_sequence == 256
    assert minilm.pooling == "mean"
    assert (minilm.query_prompt, minilm.document_prompt) == ("", "")
    assert EncoderFolder.of("sentence-transformers/all-MiniLM-L6-v2") == minilm


def test_other_embedding_names_must_be_folders(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="BAAI/bge-small-en"):
        EncoderFolder.of("BAAI/bge-small-en")
    with pytest.raises(ConfigurationError, match=r"modules\.json"):
        EncoderFolder.of(str(tmp_path))


def test_folder_without_a_tokenizer_is_rejected(tmp_path: Path) -> None:
    folder = make(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json"):
        _ = folder.tokenizer_file


@pytest.mark.parametrize(
    ("files", "longest"),
    [
        ({"sentence_bert_config": {"max_seq_length": 128}, "config": {"max_position_embeddings": 512}}, 128),
        ({"sentence_bert_config": {"max_seq_length": 9000}, "config": {"max_position_embeddings": 512}}, 512),
        ({"tokenizer_config": {"model_max_length": 384}}, 384),
        ({"tokenizer_config": {"model_max_length": 10**30}}, 512),
        ({}, 512),
    ],
)
def test_longest_sequence(tmp_path: Path, files: dict[str, Any], longest: int) -> None:
    assert make(tmp_path, **files).max_sequence == longest


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode": ["mean"]}, "mean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, None),
        ({"pooling_mode": "lasttoken"}, None),
        ({"pooling_mode_max_tokens": True}, None),
        ({"pooling_mode": "mean", "include_prompt": False}, None),
    ],
)
def test_pooling(tmp_path: Path, pooling: dict[str, Any], expected: str | None) -> None:
    assert make(tmp_path, pooling=pooling).pooling == expected


@pytest.mark.parametrize(
    "modules", [["Transformer", "Pooling", "Dense"], ["StaticEmbedding"], ["Transformer"]]
)
def test_other_modules_need_sentence_transformers(tmp_path: Path, modules: list[str]) -> None:
    assert make(tmp_path, modules=modules).pooling is None


def test_lowercasing_needs_sentence_transformers(tmp_path: Path) -> None:
    assert make(tmp_path, sentence_bert_config={"do_lower_case": True}).pooling is None


def test_prompts(tmp_path: Path) -> None:
    prompts = {"query": "query: ", "passage": "passage: "}
    folder = make(tmp_path, config_sentence_transformers={"prompts": prompts})
    assert (folder.query_prompt, folder.document_prompt) == ("query: ", "passage: ")


def test_default_prompt_applies_to_queries_and_documents(tmp_path: Path) -> None:
    config = {"prompts": {"short": "text: "}, "default_prompt_name": "short"}
    folder = make(tmp_path, config_sentence_transformers=config)
    assert (folder.query_prompt, folder.document_prompt) == ("text: ", "text: ")


def test_pooling_changes_the_model_identity(tmp_path: Path) -> None:
    mean, cls = make(tmp_path / "a" / "m"), make(tmp_path / "b" / "m", pooling={"pooling_mode": "cls"})
    assert mean.identity.startswith("m-")
    assert mean.identity != cls.identity
