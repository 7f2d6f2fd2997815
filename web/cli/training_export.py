"""Writes training examples as JSON Lines, in the formats that LoRA trainers read."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.db import OperationalError

from cairn.access.permissions import knowledge_bases_for
from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.accounts.models import User
from cairn.audit.services import record
from cairn.errors import InvalidInput
from retrieval.answering.prompts.prompt import DEFAULT_VERSION, Prompt, load_prompt
from retrieval.evaluation.training_examples import CollectedExamples, TrainingExample, collect_examples
from retrieval.evaluation.training_split import split_examples

MANIFEST: Final = "manifest.json"
_PRIVATE: Final = 0o600
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrainingExport:
    """Files that were written, with their numbers of rows, and numbers of examples left out."""

    folder: str
    prompt: str
    files: dict[str, int]
    excluded: dict[str, int]


def principal_of(username: str) -> Principal:
    """Return the principal of an active user. Raises InvalidInput."""
    try:
        user = User.objects.filter(username__iexact=username, is_active=True).first()
    except OperationalError as error:
        raise InvalidInput("There’s no database yet. Start Cairn once.") from error
    if user is None:
        raise InvalidInput(f"There’s no active user named “{username}”.")
    return principal_for_user(user)


def find_readable_bases(principal: Principal, slugs: Sequence[str] | None) -> list[UUID] | None:
    """Return the ids of these knowledge bases, or None if none are named. Raises InvalidInput."""
    if slugs is None:
        return None
    found = dict(knowledge_bases_for(principal).filter(slug__in=slugs).values_list("slug", "id"))
    if unknown := [slug for slug in slugs if slug not in found]:
        raise InvalidInput(f"This user can read no knowledge base “{unknown[0]}”.")
    return list(found.values())


def export_training_data(
    principal: Principal, bases: Collection[UUID] | None, folder: Path
) -> TrainingExport:
    """Write what the principal may read, and record that. Raises InvalidInput."""
    export = write_training_data(collect_examples(principal, bases), folder)
    record("training_data.exported", actor=principal.user, rows=sum(export.files.values()))
    return export


def write_training_data(found: CollectedExamples, folder: Path) -> TrainingExport:
    """Write `train.*` and `validation.*` as chats and as preferences, and a manifest last.

    Raises InvalidInput if the folder has files already, or can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(folder.iterdir()):
            raise InvalidInput(f"{folder} isn’t empty. Choose a new folder.")
        files = dict(_write_files(found.examples, folder))
        excluded = {reason.value: count for reason, count in found.excluded.items()}
        export = TrainingExport(str(folder), DEFAULT_VERSION, files, excluded)
        _write(folder / MANIFEST, [asdict(export)])
    except OSError as error:
        raise InvalidInput(f"{folder} can’t be written: {error.strerror}.") from error
    return export


def _write_files(examples: Sequence[TrainingExample], folder: Path) -> Iterator[tuple[str, int]]:
    prompt = load_prompt(DEFAULT_VERSION)
    for side, part in zip(("train", "validation"), split_examples(examples), strict=True):
        rows = {
            "chat": [_chat_row(example, prompt) for example in part],
            "preference": [row for example in part for row in _preference_rows(example, prompt)],
        }
        for kind, lines in rows.items():
            _write(folder / f"{side}.{kind}.jsonl", lines)
            yield f"{side}.{kind}.jsonl", len(lines)


def _chat_row(example: TrainingExample, prompt: Prompt) -> Row:
    answer = {"role": "assistant", "content": example.answer}
    return {"messages": [*_prompt_messages(example, prompt), answer], "metadata": _provenance(example)}


def _preference_rows(example: TrainingExample, prompt: Prompt) -> Iterator[Row]:
    for rejected in example.rejected:
        yield {
            "prompt": _prompt_messages(example, prompt),
            "chosen": [{"role": "assistant", "content": example.answer}],
            "rejected": [{"role": "assistant", "content": rejected}],
            "metadata": _provenance(example),
        }


def _prompt_messages(example: TrainingExample, prompt: Prompt) -> list[dict[str, str]]:
    messages = prompt.messages(example.question, example.passages)
    return [{"role": message.role.value, "content": str(message.content)} for message in messages]


def _provenance(example: TrainingExample) -> Row:
    documents = [
        {"id": str(document.id), "version": str(document.version), "title": document.title,
         "source_uri": document.source_uri, "licence": document.licence}
        for document in example.documents
    ]  # fmt: skip
    return {
        "origin": example.origin.value,
        "id": str(example.id),
        "knowledge_base": example.knowledge_base,
        "documents": documents,
    }


def _write(path: Path, rows: Iterable[Row]) -> None:
    """Write a file that only its owner can read: it contains text of documents."""
    path.touch(mode=_PRIVATE, exist_ok=False)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
