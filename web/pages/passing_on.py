"""Whether those who keep the documents see that something was asked in vain, as who asked has said."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from retrieval.gaps.models import GapQuestion
from retrieval.models import Message


def passing_on_of(row: GapQuestion) -> str:
    """yes, named or no."""
    if row.taken_back:
        return "no"
    return "named" if row.with_name else "yes"


def passing_on_by_message(messages: Iterable[Message]) -> Mapping[UUID, str]:
    """Of those that concern anybody, in one query."""
    rows = GapQuestion.objects.filter(message__in=[message.id for message in messages])
    return {row.message_id: passing_on_of(row) for row in rows.defer("embedding")}
