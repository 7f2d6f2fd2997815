"""Trains a LoRA adapter with chats that `manage.py models export-training-data` wrote.

`train_adapter.py --model FOLDER_OR_NAME --data FOLDER --output FOLDER`. Only the answers are learned, not the
prompts. It prints the loss on the validation chats before and after, and writes all steps to `log.jsonl`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)

IGNORED = -100
"""Label of tokens that aren't learned."""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Train a LoRA adapter with training data that Cairn exported."
    )
    parser.add_argument("--model", required=True, help="folder or name of the base model")
    parser.add_argument("--data", required=True, type=Path, help="folder with train.chat.jsonl")
    parser.add_argument("--output", required=True, type=Path, help="new folder for the adapter")
    parser.add_argument("--rank", type=int, default=16, help="rank of the adapter (default: 16)")
    parser.add_argument("--epochs", type=float, default=3, help="passes over the data (default: 3)")
    parser.add_argument("--learning-rate", type=float, default=2e-4, help="default: 0.0002")
    parser.add_argument("--batch-size", type=int, default=4, help="chats per step (default: 4)")
    parser.add_argument(
        "--max-tokens", type=int, default=4096, help="longer chats are left out (default: 4096)"
    )
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args(arguments)


def report(line: str) -> None:
    sys.stdout.write(line + "\n")


def load_chats(path: Path) -> list[list[dict[str, str]]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line)["messages"] for line in lines]


def encode_chat(
    tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], limit: int
) -> dict[str, list[int]] | None:
    """Return the chat's tokens, and as labels those of the answer; None if it is longer than the limit."""
    prompt = _apply_template(tokenizer, messages[:-1], add_generation_prompt=True)
    whole = _apply_template(tokenizer, messages, add_generation_prompt=False)
    if whole[: len(prompt)] != prompt:
        sys.exit(
            "error: the model's chat template doesn't begin a chat with its prompt, so it can't be trained"
        )
    if len(whole) > limit:
        return None
    labels = [IGNORED] * len(prompt) + whole[len(prompt) :]
    return {"input_ids": whole, "attention_mask": [1] * len(whole), "labels": labels}


def _apply_template(
    tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], *, add_generation_prompt: bool
) -> list[int]:
    text = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=add_generation_prompt
    )
    encoded: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return encoded


def load_encoded(tokenizer: PreTrainedTokenizerBase, path: Path, limit: int) -> list[dict[str, list[int]]]:
    chats = load_chats(path)
    encoded = [chat for each in chats if (chat := encode_chat(tokenizer, each, limit))]
    if len(encoded) < len(chats):
        report(f"{path.name}: {len(chats) - len(encoded)} of {len(chats)} chats are too long and left out")
    return encoded


def build_trainer(given: argparse.Namespace) -> Trainer:
    tokenizer = AutoTokenizer.from_pretrained(given.model)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    train = load_encoded(tokenizer, given.data / "train.chat.jsonl", given.max_tokens)
    validation = load_encoded(tokenizer, given.data / "validation.chat.jsonl", given.max_tokens)
    if not train:
        sys.exit("error: there is nothing to train with")
    precision = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    model = AutoModelForCausalLM.from_pretrained(given.model, dtype=precision)
    adapter = LoraConfig(
        r=given.rank, lora_alpha=2 * given.rank, target_modules="all-linear", task_type=TaskType.CAUSAL_LM
    )
    settings = TrainingArguments(
        output_dir=str(given.output),
        num_train_epochs=given.epochs,
        learning_rate=given.learning_rate,
        per_device_train_batch_size=given.batch_size,
        per_device_eval_batch_size=given.batch_size,
        lr_scheduler_type="cosine",
        warmup_steps=0.05,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        seed=given.seed,
    )
    return Trainer(
        model=get_peft_model(model, adapter),
        args=settings,
        train_dataset=train,
        eval_dataset=validation or None,
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=IGNORED),
        processing_class=tokenizer,
    )


def measure_loss(trainer: Trainer) -> float | None:
    if trainer.eval_dataset is None:
        return None
    return float(trainer.evaluate()["eval_loss"])


def main(arguments: Sequence[str] | None = None) -> None:
    given = parse_arguments(arguments)
    if given.output.exists():
        sys.exit(f"error: {given.output} exists; choose a new folder")
    torch.manual_seed(given.seed)
    trainer = build_trainer(given)
    before = measure_loss(trainer)
    trainer.train()
    after = measure_loss(trainer)
    trainer.save_model(str(given.output))
    write_log(given.output / "log.jsonl", trainer.state.log_history)
    if before is not None and after is not None:
        report(f"validation loss: {before:.4f} before, {after:.4f} after")
    report(f"adapter: {given.output}")


def write_log(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
