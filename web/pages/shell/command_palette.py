"""Command palette: search conversations, documents, knowledge bases and pages by prefix."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from cairn.access.models import Role
from cairn.access.permissions import documents_for, has_role_anywhere, knowledge_bases_for
from cairn.access.principals import can_create_knowledge_bases
from cairn.access.scope import Principal
from retrieval.conversations.search import find_conversations
from web.pages.shell.decorators import fragment
from web.pages.shell.navigation import visible_sections

FOUND = 6  # of each kind
Text = str | Promise


@dataclass(frozen=True, slots=True)
class Entry:
    label: str
    url: str
    icon: str
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    label: Text
    entries: Sequence[Entry]


@require_safe
@fragment
def palette(request: HttpRequest, principal: Principal) -> HttpResponse:
    query = " ".join(request.GET.get("q", "").replace("\0", "").split())[:200]
    groups = [group for group in _groups(principal, query) if group.entries]
    return render(request, "pages/_palette.html", {"groups": groups, "query": query})


def _groups(principal: Principal, query: str) -> Iterator[Group]:
    """Yield groups of entries. Without a query: pages and recent conversations."""
    pages = [entry for entry in _pages(principal) if query.casefold() in entry.label.casefold()]
    yield Group(_("Pages"), pages)
    yield Group(_("Conversations"), _conversations(principal, query))
    if query:
        yield Group(_("Documents"), _documents(principal, query))
        yield Group(_("Knowledge bases"), _bases(principal, query))


def _pages(principal: Principal) -> Iterator[Entry]:
    yield Entry(str(_("New chat")), reverse("pages:chat"), "plus")
    yield Entry(str(_("Library")), reverse("pages:library"), "library")
    yield Entry(str(_("Account")), reverse("pages:account"), "key")
    edits = has_role_anywhere(principal, Role.EDITOR)
    sections = visible_sections(
        edits=edits,
        manages=has_role_anywhere(principal, Role.MANAGER),
        creates=can_create_knowledge_bases(principal),
        is_admin=principal.is_admin,
        tab="",
    )
    for group in sections:
        for section in group.entries:
            yield Entry(str(section.label), section.url, "sliders", str(_("Administration")))


def _conversations(principal: Principal, query: str) -> list[Entry]:
    rows = find_conversations(principal, query).order_by("-updated_at", "-id")[:FOUND]
    return [Entry(row.title, reverse("pages:conversation", args=[row.id]), "chat") for row in rows]


def _documents(principal: Principal, query: str) -> list[Entry]:
    rows = documents_for(principal).filter(title__icontains=query).select_related("knowledge_base")
    return [
        Entry(row.title, reverse("pages:document", args=[row.id]), "doc", row.knowledge_base.name)
        for row in rows.order_by("title", "id")[:FOUND]
    ]


def _bases(principal: Principal, query: str) -> list[Entry]:
    rows = knowledge_bases_for(principal).filter(name__icontains=query).order_by("name", "id")[:FOUND]
    return [Entry(row.name, reverse("pages:knowledge-base", args=[row.slug]), "library") for row in rows]
