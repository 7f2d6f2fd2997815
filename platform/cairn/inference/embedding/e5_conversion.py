"""Converts multilingual-e5-small to a folder that sentence-transformers and Cairn read.

The weights are centred: the model's cosines lie between 0.7 and 0.9, too close together for the weights of
search. A vector is the mean of the states of the last layer, so the mean of all vectors is subtracted from
the bias that the last layer adds to each state.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors.numpy import save_file

from cairn.inference.embedding.e5_file import E5File, Tensor

CENTRE: Final = Path(__file__).with_name("e5_centre.json")
MAX_TOKENS: Final = 512
_EMBEDDINGS: Final = {
    "emb.word": "word_embeddings.weight",
    "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight",
    "emb.ln.w": "LayerNorm.weight",
    "emb.ln.b": "LayerNorm.bias",
}
_LAYER: Final = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
# What XLM-RoBERTa's tokenizer does beside Unicode's NFKC.
_BLANKS: Final = "\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd"
_REMOVED: Final = "\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f"


def read_centre() -> list[float]:
    """Return the mean vector of texts in twelve languages."""
    return [float(number) for number in json.loads(CENTRE.read_text(encoding="utf-8"))["mean"]]


def write_e5_folder(
    model: E5File, centre: Sequence[float], folder: Path, *, origin: Mapping[str, Any]
) -> None:
    """`origin` tells conversions apart: what is in it becomes part of the model's identity."""
    save_file(dict(_rename_tensors(model, centre)), folder / "model.safetensors", metadata={"format": "pt"})
    for name, content in _describe_model(model).items():
        _write_json(folder / name, content)
    _write_json(folder / "tokenizer.json", _describe_tokenizer(model))
    _write_json(folder / "conversion.json", {**origin, "centre": list(centre)})


def _write_json(path: Path, content: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _rename_tensors(model: E5File, centre: Sequence[float]) -> Iterator[tuple[str, Tensor]]:
    widths = {"emb.word": model.hidden, "emb.pos": model.hidden, "emb.type": model.hidden}
    for source, target in _EMBEDDINGS.items():
        yield f"embeddings.{target}", _shape(model.tensors[source], widths.get(source))
    for layer in range(model.layers):
        for source, target in _LAYER.items():
            width = model.intermediate if source == "fo" else model.hidden
            weight = model.tensors[f"l{layer}.{source}.w"]
            bias = model.tensors[f"l{layer}.{source}.b"]
            if source == "oln" and layer == model.layers - 1:
                bias = bias - np.asarray(centre, np.float32)
            yield f"encoder.layer.{layer}.{target}.weight", _shape(weight, None if "ln" in source else width)
            yield f"encoder.layer.{layer}.{target}.bias", bias


def _shape(tensor: Tensor, width: int | None) -> Tensor:
    return tensor if width is None else tensor.reshape(-1, width)


def _describe_model(model: E5File) -> dict[str, object]:
    special = model.special_ids
    return {
        "config.json": {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "dtype": "float32",
            "hidden_act": "gelu",
            "hidden_size": model.hidden,
            "intermediate_size": model.intermediate,
            "layer_norm_eps": model.epsilon,
            "max_position_embeddings": model.positions,
            "num_attention_heads": model.heads,
            "num_hidden_layers": model.layers,
            "pad_token_id": special["<pad>"],
            "type_vocab_size": model.token_types,
            "vocab_size": model.vocabulary,
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": MAX_TOKENS,
            "bos_token": "<s>",
            "eos_token": "</s>",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
        },
        "sentence_bert_config.json": {"max_seq_length": MAX_TOKENS, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": {"query": "query: ", "passage": "passage: "}},
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": model.hidden,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
        },
        "2_Normalize/config.json": {},
    }


def _describe_tokenizer(model: E5File) -> dict[str, object]:
    """Written by hand, so that the model's identity doesn't depend on the version of a library."""
    special = model.special_ids
    return {
        "version": "1.0",
        "truncation": None,
        "padding": {
            "strategy": "BatchLongest",
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": special["<pad>"],
            "pad_type_id": 0,
            "pad_token": "<pad>",
        },
        "added_tokens": [_describe_special_token(name, number) for name, number in special.items()],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                _replace(f"[{_BLANKS}]", " "),
                _replace(f"[{_REMOVED}]", ""),
                {"type": "NFKC"},
                _replace(" {2,}", " "),
            ],
        },
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "post_processor": _enclose("<s>", "</s>", special),
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "model": {
            "type": "Unigram",
            "unk_id": special["<unk>"],
            "vocab": model.pieces,
            "byte_fallback": False,
        },
    }


def _replace(pattern: str, content: str) -> dict[str, object]:
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}


def _describe_special_token(name: str, number: int) -> dict[str, object]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": name, **flags}


def _enclose(start: str, end: str, ids: Mapping[str, int]) -> dict[str, object]:
    before, after = ({"SpecialToken": {"id": token, "type_id": 0}} for token in (start, end))
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return {
        "type": "TemplateProcessing",
        "single": [before, first, after],
        "pair": [before, first, after, before, second, after],
        "special_tokens": {
            token: {"id": token, "ids": [ids[token]], "tokens": [token]} for token in (start, end)
        },
    }
