"""The usage policy for admins: rules for questions that are declined with the organisation's own text."""
# ruff: noqa: ARG001 (the framework passes the request by name)

from datetime import datetime
from typing import Annotated

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import BaseModel, Field, StringConstraints

from cairn.access.selectors import get_or_not_found
from retrieval.conversations.usage_policy.matching import find_failing_examples
from retrieval.conversations.usage_policy.models import UsageRule as RuleRow
from retrieval.conversations.usage_policy.services import (
    MAX_EXAMPLE_CHARACTERS,
    MAX_EXAMPLES,
    MAX_PHRASE_CHARACTERS,
    MAX_PHRASES,
    MAX_REPLY_CHARACTERS,
    list_rules,
    rule_create,
    rule_delete,
    rule_update,
)
from web.api.framework.fields import Body, Count, Flag, Name, Patch
from web.api.row_schema import RowSchema
from web.http.authentication import needs, principal_of

router = Router(tags=["Usage policy"], auth=needs(admin=True))

Phrase = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_PHRASE_CHARACTERS)]
Example = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_EXAMPLE_CHARACTERS)]
Phrases = Annotated[
    list[Phrase],
    Field(
        min_length=1,
        max_length=MAX_PHRASES,
        description="The rule declines questions that contain one of these as whole words, in any case and "
        "with or without accents. `*` at the end of a word stands for any ending",
    ),
]
Exceptions = Annotated[
    list[Phrase],
    Field(max_length=MAX_PHRASES, description="Sentences that contain one of these are not declined"),
]
Reply = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_REPLY_CHARACTERS),
    Field(description="The answer to a declined question, as plain text"),
]
DeclinedExamples = Annotated[
    list[Example], Field(max_length=MAX_EXAMPLES, description="Questions that the rule must decline")
]
AllowedExamples = Annotated[
    list[Example], Field(max_length=MAX_EXAMPLES, description="Questions that the rule must not decline")
]


class NewUsageRule(Body):
    name: Name
    phrases: Phrases
    exceptions: Exceptions = []
    reply: Reply
    declined_examples: DeclinedExamples = []
    allowed_examples: AllowedExamples = []
    enabled: Flag = False


class UsageRulePatch(Patch):
    """`version`: the one that you read; 409 if the rule has been changed since."""

    name: Name | None = None
    phrases: Phrases | None = None
    exceptions: Exceptions | None = None
    reply: Reply | None = None
    declined_examples: DeclinedExamples | None = None
    allowed_examples: AllowedExamples | None = None
    enabled: Flag | None = None
    version: Annotated[Count, Field(ge=1)] | None = None


class UsageRule(RowSchema):
    """`failing`: the examples that come out wrong."""

    id: str
    name: str
    phrases: list[str]
    exceptions: list[str]
    reply: str
    declined_examples: list[str]
    allowed_examples: list[str]
    enabled: bool
    failing: list[str]
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: RuleRow) -> "UsageRule":
        return cls.read(row, id=str(row.pk), failing=find_failing_examples(row))


class UsageRules(BaseModel):
    items: list[UsageRule]


@router.get("", summary="List usage rules", response=UsageRules)
def usage_rule_list(request: HttpRequest) -> UsageRules:
    """Lists all rules by name. The first enabled one that matches a question declines it."""
    return UsageRules(items=[UsageRule.of(row) for row in list_rules()])


@router.post("", summary="Create a usage rule", response={201: UsageRule})
def usage_rule_add(request: HttpRequest, payload: NewUsageRule) -> Status[UsageRule]:
    """An enabled rule needs an example of each kind; 422 if one comes out wrong. 409 if another rule has this
    name, regardless of case, or there are too many."""
    row = rule_create(principal=principal_of(request), **payload.model_dump())
    return Status(201, UsageRule.of(row))


@router.get("/{rule_id}", summary="Get a usage rule", response=UsageRule)
def usage_rule_get(request: HttpRequest, rule_id: str) -> UsageRule:
    """Returns the rule, with its examples that come out wrong."""
    return UsageRule.of(get_or_not_found(RuleRow.objects.all(), rule_id))


@router.patch("/{rule_id}", summary="Change a usage rule", response=UsageRule)
def usage_rule_change(request: HttpRequest, rule_id: str, payload: UsageRulePatch) -> UsageRule:
    """Checks all examples again if the rule is enabled; 422 if one comes out wrong. 409 if another rule has
    this name."""
    changes = payload.sent
    version = changes.pop("version", None)
    row = rule_update(principal=principal_of(request), rule=rule_id, changes=changes, version=version)
    return UsageRule.of(row)


@router.delete("/{rule_id}", summary="Delete a usage rule", response={204: None})
def usage_rule_remove(request: HttpRequest, rule_id: str) -> Status[None]:
    """Questions that it declines are answered again."""
    rule_delete(principal=principal_of(request), rule=rule_id)
    return Status(204, None)
