"""Transformers small enough to be created by a test: real architectures, files and tokenizers.

They know WORDS. Their weights are such that a test can say what they look for: each token has a direction of
its own, and the first token sees the mean of one of the two texts.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertTokenizerFast,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WORDS = ["annual", "leave", "days", "yes", "no", "parking", "free", "staff", "get", "house"]
TOKENS = SPECIAL + WORDS
POSITIONS = 64
_SIZE = 16  # a direction for each token, one for the second text, one to spare
_SECOND = len(TOKENS)
_SURE = 30.0


def span_reader(folder: Path, *, answer: str = "yes") -> Path:
    """Finds an answer where the passage has this word."""
    model = BertForQuestionAnswering(_bert(["LABEL_0", "LABEL_1"]))
    _see_plainly(model.bert)
    with torch.no_grad():
        head = model.qa_outputs
        head.weight.zero_()
        head.bias.zero_()
        head.weight[:, TOKENS.index(answer)] = _SURE
        head.weight[:, TOKENS.index("[CLS]")] = _SURE / 2
    return _saved(model, folder)


def classifier(folder: Path, looks_for: dict[str, str], *, second: bool, scale: float = _SURE) -> Path:
    """Chooses a label by the word it looks for, in the second text or in the first."""
    model = BertForSequenceClassification(_bert(list(looks_for)))
    _see_plainly(model.bert)
    _look_at(model.bert, second=second)
    with torch.no_grad():
        model.bert.pooler.dense.weight.copy_(torch.eye(_SIZE))
        model.bert.pooler.dense.bias.zero_()
        model.classifier.weight.zero_()
        model.classifier.bias.zero_()
        for label, word in enumerate(looks_for.values()):
            model.classifier.weight[label, TOKENS.index(word)] = scale
    return _saved(model, folder)


def classifier_without_types(folder: Path, labels: Sequence[str]) -> Path:
    """RoBERTa's family knows no token types, and its positions begin at 2. Its weights are random."""
    config = RobertaConfig(**_sizes(), type_vocab_size=1, pad_token_id=0, **_named(labels))
    return _saved(RobertaForSequenceClassification(config), folder)


def _see_plainly(bert: Any) -> None:
    """Set weights so that the output for a token identifies it and its text."""
    with torch.no_grad():
        for parameter in (*bert.embeddings.parameters(), *bert.encoder.parameters()):
            if parameter.dim() > 1:
                parameter.zero_()
        bert.embeddings.word_embeddings.weight[:, : len(TOKENS)] = torch.eye(len(TOKENS))
        bert.embeddings.token_type_embeddings.weight[1, _SECOND] = 1.0


def _look_at(bert: Any, *, second: bool) -> None:
    """Adds the mean of one of the two texts to each token, the first one among them."""
    with torch.no_grad():
        attention = bert.encoder.layer[0].attention
        attention.self.query.bias[_SECOND] = _SURE if second else -_SURE
        attention.self.key.weight[_SECOND, _SECOND] = 1.0
        attention.self.value.weight.copy_(torch.eye(_SIZE))
        attention.output.dense.weight.copy_(torch.eye(_SIZE))


def _bert(labels: Sequence[str]) -> BertConfig:
    return BertConfig(**_sizes(), **_named(labels))


def _sizes() -> dict[str, Any]:
    return {
        "vocab_size": len(TOKENS),
        "hidden_size": _SIZE,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": _SIZE,
        "max_position_embeddings": POSITIONS,
    }


def _named(labels: Sequence[str]) -> dict[str, Any]:
    names = dict(enumerate(labels))
    return {"id2label": names, "label2id": {name: place for place, name in names.items()}}


def _saved(model: PreTrainedModel, folder: Path) -> Path:
    model.save_pretrained(folder)
    BertTokenizerFast(tokenizer_object=_tokenizer(), model_max_length=POSITIONS).save_pretrained(folder)
    return folder


def _tokenizer() -> Tokenizer:
    vocabulary = {word: place for place, word in enumerate(TOKENS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer
