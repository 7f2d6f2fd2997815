"""The recipe that trains an adapter, run with a tiny model."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from tests.servers import ROOT

RECIPE = ROOT / "deploy" / "training" / "train_adapter.py"
TEMPLATE = (
    "{% for message in messages %}<s> {{ message.role }} : {{ message.content }} </s> {% endfor %}"
    "{% if add_generation_prompt %}<s> assistant : {% endif %}"
)
QUESTION = "How many days of leave ?"
ANSWER = "25 days of leave [1]"
pytestmark = [pytest.mark.slow, pytest.mark.models]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model of two layers that has learned nothing."""
    folder = tmp_path_factory.mktemp("tiny")
    words = sorted(set(f"{QUESTION} {ANSWER} [ ] 1 system user assistant : <s> </s> Answer .".split()))
    vocabulary = {word: number for number, word in enumerate([*words, "<unk>"])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(vocabulary), **sizes)).save_pretrained(folder)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    messages = [
        {"role": "system", "content": "Answer ."},
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": ANSWER},
    ]
    folder = tmp_path / "data"
    folder.mkdir()
    line = json.dumps({"messages": messages, "metadata": {}}) + "\n"
    (folder / "train.chat.jsonl").write_text(line * 16)
    (folder / "validation.chat.jsonl").write_text(line)
    return folder


def train(model: Path, data: Path, output: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    command = [
        sys.executable,
        str(RECIPE),
        "--model",
        str(model),
        "--data",
        str(data),
        "--output",
        str(output),
    ]
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([*command, *more], env=offline, capture_output=True, text=True, check=False)


def test_adapter_learns_the_answers_and_loads(model: Path, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "adapter"
    done = train(model, data, output, "--epochs", "10", "--learning-rate", "0.02", "--rank", "4")
    assert done.returncode == 0, done.stderr
    before, after = (
        float(word) for word in done.stdout.replace(",", "").split() if "." in word and word[0].isdigit()
    )
    assert after < before - 0.2
    steps = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    assert sum("loss" in step for step in steps) == 40
    base = AutoModelForCausalLM.from_pretrained(model)
    tokens = torch.tensor([[1, 2, 3]])
    plain = base(tokens).logits.detach().clone()
    adapted = PeftModel.from_pretrained(base, str(output))(tokens).logits
    assert not torch.allclose(plain, adapted)


def test_only_the_answer_is_learned(model: Path, data: Path) -> None:
    recipe = runpy.run_path(str(RECIPE))
    tokenizer = AutoTokenizer.from_pretrained(model)
    (chat,) = recipe["load_encoded"](tokenizer, data / "validation.chat.jsonl", 100)
    learned = [token for token, label in zip(chat["input_ids"], chat["labels"], strict=True) if label != -100]
    assert tokenizer.decode(learned).split() == ["25", "days", "of", "leave", "[", "1", "]", "</s>"]


def test_overlong_chats_are_omitted(model: Path, data: Path, tmp_path: Path) -> None:
    done = train(model, data, tmp_path / "adapter", "--max-tokens", "5")
    assert done.returncode == 1
    assert "16 of 16 chats are too long" in done.stdout
    assert done.stderr.endswith("error: there is nothing to train with\n")


def test_existing_folder_is_never_overwritten(model: Path, data: Path, tmp_path: Path) -> None:
    done = train(model, data, tmp_path)
    assert (done.returncode, done.stderr) == (1, f"error: {tmp_path} exists; choose a new folder\n")
