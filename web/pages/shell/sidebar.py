"""Sidebar with the user's conversations: pinned ones, then by age."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from urllib.parse import urlencode
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from cairn.access.scope import Principal
from retrieval.conversations.folders import folder_for, folders_for
from retrieval.conversations.search import find_conversations
from retrieval.conversations.snippets import Snippet, Span, find_snippets, mark_hits
from retrieval.models import Conversation, ConversationFolder
from web.api.framework.pagination import PageQuery, page_of

SHOWN = 60
LABELS = {
    "pinned": gettext_noop("Pinned"),
    "today": gettext_noop("Today"),
    "yesterday": gettext_noop("Yesterday"),
    "week": gettext_noop("Last seven days"),
    "earlier": gettext_noop("Earlier"),
}


@dataclass(frozen=True, slots=True)
class Item:
    """A conversation. `title_spans` and `snippet` mark the hits of a search."""

    id: UUID
    title: str
    current: bool
    pinned: bool
    title_spans: Sequence[Span]
    snippet: Snippet | None


@dataclass(frozen=True, slots=True)
class Group:
    """A group of conversations. `goes_on`: its heading was shown with the previous rows."""

    key: str
    items: tuple[Item, ...]
    goes_on: bool

    @property
    def label(self) -> str:
        return gettext(LABELS[self.key])


@dataclass(frozen=True, slots=True)
class Rail:
    """`folders`: shown above the groups, which are without their conversations. `more` is the query string
    that fetches the next rows; "" at the end."""

    groups: tuple[Group, ...]
    query: str
    more: str
    folders: tuple[ConversationFolder, ...] = ()


def rail_of(
    principal: Principal, *, query: str = "", current: str = "", cursor: str = "", above: str = ""
) -> Rail:
    """Build the sidebar. `above` is the key of the last group before the cursor. A search looks into folders,
    too."""
    rows = find_conversations(principal, query)
    pinned = [] if cursor else list(rows.exclude(pinned_at=None).order_by("-pinned_at", "-id"))
    folders = () if query or cursor else tuple(folders_for(principal))
    if not query:
        rows = rows.filter(folder=None)
    page = PageQuery(limit=SHOWN, cursor=cursor)
    found = page_of(rows.filter(pinned_at=None), page, by="updated_at", newest_first=True)
    shown = [*pinned, *found.rows]
    snippets = find_snippets(principal, shown, query)
    items = {row.id: _item(row, current, query, snippets) for row in shown}
    groups = tuple(_group_conversations(shown, items, above))
    if not found.next_cursor:
        return Rail(groups, query, "", folders)
    asked = {"q": query, "current": current, "cursor": found.next_cursor, "above": groups[-1].key}
    return Rail(groups, query, _encode(asked), folders)


def folder_rail(principal: Principal, *, folder: str, current: str = "", cursor: str = "") -> Rail:
    """Build the list of a folder's conversations, the last used first."""
    rows = find_conversations(principal, "").filter(folder=folder_for(principal, folder))
    found = page_of(rows, PageQuery(limit=SHOWN, cursor=cursor), by="updated_at", newest_first=True)
    items = tuple(_item(row, current, "", {}) for row in found.rows)
    groups = (Group("pinned", items, goes_on=True),) if items else ()
    asked = {"folder": folder, "current": current, "cursor": found.next_cursor or ""}
    return Rail(groups, "", _encode(asked) if found.next_cursor else "")


def _encode(parameters: Mapping[str, str]) -> str:
    return urlencode({name: value for name, value in parameters.items() if value})


def _group_conversations(
    rows: Iterable[Conversation], items: Mapping[UUID, Item], above: str
) -> Iterable[Group]:
    for key, members in groupby(rows, key=_group):
        yield Group(key, tuple(items[row.id] for row in members), goes_on=key == above)


def _item(row: Conversation, current: str, query: str, snippets: Mapping[UUID, Snippet]) -> Item:
    return Item(
        row.id,
        row.title,
        current=str(row.id) == current,
        pinned=row.pinned_at is not None,
        title_spans=mark_hits(row.title, query),
        snippet=snippets.get(row.id),
    )


def _group(conversation: Conversation) -> str:
    if conversation.pinned_at:
        return "pinned"
    days = (timezone.localdate() - timezone.localdate(conversation.updated_at)) // timedelta(days=1)
    if days <= 0:
        return "today"
    if days == 1:
        return "yesterday"
    return "week" if days < 7 else "earlier"
