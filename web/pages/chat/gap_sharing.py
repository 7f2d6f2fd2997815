"""The askers' choice to report unanswered questions to editors."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from retrieval.gaps.models import GapQuestion
from retrieval.models import Message


def passing_on_of(row: GapQuestion) -> str:
    """Return yes, named or no."""
    if row.taken_back:
        return "no"
    return "named" if row.with_name else "yes"


def passing_on_by_message(messages: Iterable[Message]) -> Mapping[UUID, str]:
    """Return the choices of messages with gaps, in one query."""
    rows = GapQuestion.objects.filter(message__in=[message.id for message in messages])
    return {row.message_id: passing_on_of(row) for row in rows.defer("embedding")}
