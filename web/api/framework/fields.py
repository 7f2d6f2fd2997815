"""Field types for requests."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from django.utils.translation import gettext_noop
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    ValidationError,
    model_validator,
)

from cairn.access.scope import Principal
from cairn.access.selectors import knowledge_base_for, parse_id
from cairn.errors import NotFound
from cairn.messages import CodedMessage


def _line(longest: int) -> Any:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=longest)


Id = Annotated[str, StringConstraints(max_length=140)]
"""An id, or the slug of a knowledge base, which may have 140 characters."""
Ids = Annotated[list[Id], Field(max_length=200)]
SomeIds = Annotated[list[Id], Field(min_length=1, max_length=200)]
Members = Annotated[list[Id], Field(max_length=5000)]
Username = Annotated[str, _line(150)]
DisplayName = Annotated[str, StringConstraints(strip_whitespace=True, max_length=150)]
"""Normalised and checked by `cairn.accounts.display_names`."""
Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=254)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Name = Annotated[str, _line(120)]
GroupName = Annotated[str, _line(150)]
Description = Annotated[str, StringConstraints(max_length=5000)]
Title = Annotated[str, _line(500)]
SourceUri = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)]
Query = Annotated[str, _line(2000)]
QUESTION_CHARACTERS = 10_000
Question = Annotated[str, _line(QUESTION_CHARACTERS)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Subject = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Subjects = Annotated[list[Subject], Field(max_length=200)]
METADATA_CHARACTERS = 64_000


def _check_length(metadata: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(metadata, ensure_ascii=False)) > METADATA_CHARACTERS:
        raise ValueError(CodedMessage("metadata_too_long", limit=METADATA_CHARACTERS))
    return metadata


Metadata = Annotated[dict[str, Any], AfterValidator(_check_length)]


def as_utc(moment: datetime) -> datetime:
    """Convert to UTC. Raises ValueError outside the years 1 to 9999, which databases do not support."""
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        return zoned.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(gettext_noop("Must lie in the years 1 to 9999, in UTC.")) from error


Moment = Annotated[datetime, AfterValidator(as_utc)]
AwareMoment = Annotated[AwareDatetime, AfterValidator(as_utc)]
Flag = StrictBool
Reason = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
"""Why something is done that a rule advises against; goes to the audit log."""
Count = StrictInt

NO_MATCH = UUID(int=0)
_NULL = ValueError(gettext_noop("May not be null."))


class Body(BaseModel):
    """Base of request bodies. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Patch(Body):
    """Base of partial updates. Absent fields are unchanged; only `erasable` ones may be null."""

    erasable: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="after")
    def _require_no_nulls(self) -> Self:
        nulls = [name for name in self.model_fields_set - self.erasable if getattr(self, name) is None]
        if nulls:
            raise ValidationError.from_exception_data(
                type(self).__name__,
                [
                    {"type": "value_error", "loc": (name,), "input": None, "ctx": {"error": _NULL}}
                    for name in sorted(nulls)
                ],
            )
        return self

    @property
    def sent(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}


def parse_id_or_no_match(value: str) -> UUID:
    """Parse an id. Invalid ones become an id that matches nothing."""
    try:
        return parse_id(value)
    except NotFound:
        return NO_MATCH


def parse_knowledge_base_or_no_match(principal: Principal, value: str) -> UUID:
    """Return the id that a list is filtered by, given an id or a slug."""
    if (identity := parse_id_or_no_match(value)) != NO_MATCH:
        return identity
    try:
        base: UUID = knowledge_base_for(principal, value).id
    except NotFound:
        return NO_MATCH
    return base
