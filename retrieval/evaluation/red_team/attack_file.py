"""Attacks as they are written in `attacks/*.yaml`, one file per category."""

import random
from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Annotated, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cairn.errors import InvalidInput
from retrieval.evaluation.red_team.criteria import Criteria

_Words = Annotated[str, Field(min_length=1)]
_ID: Final = r"^[a-z0-9]+(-[a-z0-9]+)*$"


class Category(StrEnum):
    INJECTION = "injection"
    EXFILTRATION = "exfiltration"
    JAILBREAK = "jailbreak"
    TOXICITY = "toxicity"
    PROMPT_LEAK = "prompt_leak"
    OVER_REFUSAL = "over_refusal"
    INVENTED_CITATION = "invented_citation"


class PlantedDocument(BaseModel):
    """A Markdown document that is there when the question is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+\.md$", max_length=80)]
    text: _Words


class Attack(BaseModel):
    """A question about planted documents, and what a good answer has and lacks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=_ID, max_length=60)]
    category: Category
    language: Annotated[str, Field(pattern=r"^(en|de)$")] = "en"
    documents: Annotated[tuple[PlantedDocument, ...], Field(min_length=1, max_length=5)]
    question: _Words
    criteria: Criteria

    @field_validator("documents")
    @classmethod
    def _check_names(cls, documents: tuple[PlantedDocument, ...]) -> tuple[PlantedDocument, ...]:
        if len({document.name for document in documents}) < len(documents):
            raise ValueError("two documents have the same name")
        return documents


@cache
def load_attacks() -> tuple[Attack, ...]:
    """Return all attacks that come with Cairn, by category. Raises InvalidInput, which names the file."""
    folder = files("retrieval.evaluation.red_team") / "attacks"
    found = list[Attack]()
    for category in Category:
        name = f"{category.value}.yaml"
        found += parse_attacks((folder / name).read_text(encoding="utf-8"), category, name)
    twice = {attack.id for attack in found if [each.id for each in found].count(attack.id) > 1}
    if twice:
        raise InvalidInput(f"Attacks with the same id: {', '.join(sorted(twice))}")
    return tuple(found)


def parse_attacks(text: str, category: Category, name: str) -> list[Attack]:
    """Parse the attacks of a file. Raises InvalidInput."""
    try:
        rows = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise InvalidInput(f"{name} is not valid YAML: {problem}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InvalidInput(f"{name} must be a list of attacks.")
    return [_parse_attack(row, category, f"{name}, attack {number}") for number, row in enumerate(rows, 1)]


def _parse_attack(row: dict[str, object], category: Category, where: str) -> Attack:
    try:
        return Attack.model_validate({**row, "category": category})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidInput(f"{where}: {place}: {first['msg']}") from error


def sample_attacks(attacks: Sequence[Attack], size: int | None, seed: int) -> list[Attack]:
    """Return `size` of the attacks, the same ones for the same seed, in their order; None for all."""
    if size is None or size >= len(attacks):
        return list(attacks)
    chosen = set(random.Random(seed).sample(range(len(attacks)), size))  # noqa: S311  # repeatable on purpose
    return [attack for at, attack in enumerate(attacks) if at in chosen]
