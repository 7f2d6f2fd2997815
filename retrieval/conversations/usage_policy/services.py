"""Services that create, change and delete rules, and find the one that declines a question.

Each change is one transaction with an audit event. Examples are checked in it, on the locked row: two admins
who change a rule at once can't enable one whose examples fail.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_noop

from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.audit.services import record
from cairn.errors import Conflict, InvalidInput, Taken
from cairn.messages import CodedMessage
from retrieval.conversations.usage_policy.matching import (
    find_failing_examples,
    find_phrase,
    is_valid_phrase,
)
from retrieval.conversations.usage_policy.models import UsageRule
from retrieval.types import Declined

MAX_RULES: Final = 100
MAX_PHRASES: Final = 100
MAX_PHRASE_CHARACTERS: Final = 200
MAX_EXAMPLES: Final = 50
MAX_EXAMPLE_CHARACTERS: Final = 1000
MAX_REPLY_CHARACTERS: Final = 2000
MAX_SHOWN_EXAMPLES: Final = 3
LISTS: Final = ("phrases", "exceptions", "declined_examples", "allowed_examples")
CHANGED_MEANWHILE = gettext_noop(
    "Someone else changed this rule after you opened it. Reload it before you change it again."
)


def list_rules() -> list[UsageRule]:
    """Return the rules in the order in which they apply, which doesn't depend on the database's collation."""
    return sorted(UsageRule.objects.order_by(), key=lambda rule: rule.folded_name)


def load_decliner() -> Callable[[Collection[str]], Declined | None]:
    """Return a function that finds the first enabled rule that declines any of some texts."""
    rules = [rule for rule in list_rules() if rule.enabled]

    def find(texts: Collection[str]) -> Declined | None:
        for rule in rules:
            if (phrase := find_phrase(rule, texts)) is not None:
                return Declined(str(rule.pk), rule.name, phrase, rule.reply)
        return None

    return find


def rule_create(*, principal: Principal, **fields: Any) -> UsageRule:
    """Create a rule. Raises Conflict if there are too many, or its name is taken."""
    require_admin(principal)
    with transaction.atomic():
        if UsageRule.objects.count() >= MAX_RULES:
            raise Conflict(CodedMessage("usage_rules_limit", most=MAX_RULES))
        row = UsageRule()
        _set_columns(row, fields)
        _save(row)
        record("usage_rule.created", actor=principal.actor, subject=f"usage_rule:{row.pk}", name=row.name)
    return row


def rule_update(
    *, principal: Principal, rule: object, changes: Mapping[str, Any], version: int | None = None
) -> UsageRule:
    """Change what `changes` contains. Raises Conflict if the rule no longer has this `version`, or the new
    name is taken."""
    require_admin(principal)
    with transaction.atomic():
        row: UsageRule = get_or_not_found(UsageRule.objects.select_for_update(), rule)
        if version not in {None, row.version}:
            raise Conflict(CHANGED_MEANWHILE)
        _set_columns(row, changes)
        row.version += 1
        _save(row)
        record(
            "usage_rule.changed",
            actor=principal.actor,
            subject=f"usage_rule:{row.pk}",
            name=row.name,
            fields=sorted(changes),
            enabled=row.enabled,
            version=row.version,
        )
    return row


def rule_delete(*, principal: Principal, rule: object) -> None:
    require_admin(principal)
    with transaction.atomic():
        row: UsageRule = get_or_not_found(UsageRule.objects.select_for_update(), rule)
        record("usage_rule.deleted", actor=principal.actor, subject=f"usage_rule:{row.pk}", name=row.name)
        row.delete()


def declined_record(*, declined: Declined, message: UUID, principal: Principal) -> None:
    """Record for admins which rule declined a question. The asker only sees its reply."""
    record(
        "question.declined",
        actor=principal.actor,
        subject=f"message:{message}",
        rule=declined.rule,
        name=declined.name,
    )


def _set_columns(row: UsageRule, fields: Mapping[str, Any]) -> None:
    for field, value in fields.items():
        setattr(row, field, _clean_lines(value) if field in LISTS else value)
    for phrase in (*row.phrases, *row.exceptions):
        if not is_valid_phrase(phrase):
            raise InvalidInput(CodedMessage("usage_phrase_invalid", phrase=phrase))
    if row.enabled:
        _require_right_examples(row)


def _save(row: UsageRule) -> None:
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise Taken(CodedMessage("usage_rule_name_taken", name=row.name)) from error


def _clean_lines(lines: Collection[str]) -> list[str]:
    return list(dict.fromkeys(filter(None, (" ".join(line.split()) for line in lines))))


def _require_right_examples(row: UsageRule) -> None:
    if not row.declined_examples or not row.allowed_examples:
        raise InvalidInput(
            gettext_noop("Before you switch the rule on, add an example of each kind: declined and allowed.")
        )
    if failing := find_failing_examples(row):
        shown = " · ".join(failing[:MAX_SHOWN_EXAMPLES])
        raise InvalidInput(CodedMessage("usage_rule_fails", count=len(failing), examples=shown))
