"""The list of someone's conversations, by age."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from uuid import UUID

from django.utils import timezone

from cairn.access.scope import Principal
from retrieval.conversations import conversations_for
from retrieval.models import Conversation

SHOWN = 60


@dataclass(frozen=True, slots=True)
class Item:
    id: UUID
    title: str
    current: bool


@dataclass(frozen=True, slots=True)
class Group:
    label: str
    items: tuple[Item, ...]


def conversation_groups(principal: Principal, *, query: str = "", current: str = "") -> list[Group]:
    """The latest ones, or those whose title or questions hold the query."""
    rows = conversations_for(principal)
    if query:
        matching = rows.filter(messages__question__icontains=query) | rows.filter(title__icontains=query)
        rows = rows.filter(pk__in=matching.values("pk"))
    return _grouped(rows[:SHOWN], current)


def _grouped(rows: Iterable[Conversation], current: str) -> list[Group]:
    return [
        Group(label, tuple(Item(row.id, row.title, str(row.id) == current) for row in members))
        for label, members in groupby(rows, key=_age)
    ]


def _age(conversation: Conversation) -> str:
    days = (timezone.localdate() - timezone.localdate(conversation.updated_at)) // timedelta(days=1)
    if days <= 0:
        return "Today"
    if days == 1:
        return "Yesterday"
    return "Last seven days" if days < 7 else "Earlier"
