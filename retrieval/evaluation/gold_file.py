"""Questions whose answers are known: a file with one JSON object per line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Final

from django.utils.translation import gettext_noop
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cairn.errors import InvalidInput

_MOST_ERRORS: Final = 5
_Words = Annotated[str, Field(min_length=1)]


class Kind(StrEnum):
    """Difficulty of a question. A near miss asks for what its documents leave out."""

    PARAPHRASE = "paraphrase"
    KEYWORD = "keyword"
    TYPO = "typo"
    CODE = "code"
    TWO_PAGES = "two_pages"
    FOLLOW_UP = "follow_up"
    UNANSWERABLE = "unanswerable"
    NEAR_MISS = "near_miss"

    @property
    def unanswerable(self) -> bool:
        return self in {Kind.UNANSWERABLE, Kind.NEAR_MISS}


class GoldQuestion(BaseModel):
    """`relevant`: the `source_uri` of each document that answers it; none if no document does. `history`:
    questions asked before it in the same conversation, oldest first. `must_contain`: words that any right
    answer has, whatever their case. `answer`, `note`: a correct answer and a remark, for people to read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: _Words
    question: _Words
    kind: Kind = Kind.PARAPHRASE
    history: tuple[_Words, ...] = ()
    relevant: tuple[_Words, ...] = ()
    quotes: tuple[_Words, ...] = ()
    must_contain: tuple[_Words, ...] = ()
    answer: str = ""
    note: str = ""

    @property
    def answerable(self) -> bool:
        return bool(self.relevant)

    @model_validator(mode="after")
    def _agrees(self) -> "GoldQuestion":
        if not self.relevant and (self.quotes or self.must_contain or self.answer):
            raise ValueError("has an answer but no relevant document")
        if self.relevant and self.kind.unanswerable:
            raise ValueError(f"is {self.kind} but has a relevant document")
        return self


@dataclass(frozen=True, slots=True)
class GoldSet:
    name: str
    questions: Sequence[GoldQuestion]

    @property
    def sha256(self) -> str:
        """The same for the same questions, however their file is written and whatever people noted."""
        lines = (each.model_dump_json(exclude={"answer", "note"}) for each in self.questions)
        return sha256("\n".join(lines).encode()).hexdigest()


def gold_questions(lines: Iterable[str]) -> list[GoldQuestion]:
    """Empty lines are skipped. Raises InvalidInput, which names the lines that are wrong."""
    found: dict[str, GoldQuestion] = {}
    wrong: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            question = GoldQuestion.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            wrong.append(f"line {number}: {where + ': ' if where else ''}{first['msg']}")
            continue
        if question.id in found:
            wrong.append(f"line {number}: the id “{question.id}” is there twice")
        found[question.id] = question
    if wrong:
        rest = f" (and {len(wrong) - _MOST_ERRORS} more)" if len(wrong) > _MOST_ERRORS else ""
        raise InvalidInput("; ".join(wrong[:_MOST_ERRORS]) + rest)
    if not found:
        raise InvalidInput(gettext_noop("It contains no questions."))
    return list(found.values())
