"""Assistants that a principal may use or manage."""

from collections.abc import Collection
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from cairn.access.permissions import can_create_assistants, knowledge_bases_for, match_principal
from cairn.access.scope import Principal, Scope
from cairn.access.selectors import parse_id, scope_for
from cairn.errors import Forbidden, NotFound
from cairn.library.document_filters import WORDS, contains
from cairn.library.models import KnowledgeBase
from retrieval.assistants.models import Assistant, AssistantReader

_Bases = Assistant.knowledge_bases.through


def assistants_for(principal: Principal) -> "QuerySet[Assistant]":
    """Return the assistants that the principal may use.

    A key that is limited to some knowledge bases gets those that are about one of them.
    """
    rows = Assistant.objects.all()
    if not principal.is_admin:
        named = AssistantReader.objects.filter(match_principal(principal)).values("assistant")
        rows = rows.filter(Q(everyone=True) | Q(id__in=named) | Q(created_by=principal.user))
    return rows if principal.key_bases is None else rows.filter(_match_readable(principal))


def assistants_offered_to(principal: Principal) -> "QuerySet[Assistant]":
    """Return the assistants that the principal may use and that have something for them to read."""
    return assistants_for(principal).filter(_match_readable(principal))


def _match_readable(principal: Principal) -> Exists:
    readable = knowledge_bases_for(principal).values("id")
    return Exists(_Bases.objects.filter(assistant=OuterRef("pk"), knowledgebase__in=readable))


def assistants_managed_by(principal: Principal) -> "QuerySet[Assistant]":
    """Return the assistants that the principal may change: their own, for admins all."""
    if not can_create_assistants(principal):
        return Assistant.objects.none()
    rows = Assistant.objects.all()
    return rows if principal.is_admin else rows.filter(created_by=principal.user)


def find_assistants(rows: "QuerySet[Assistant]", query: str) -> "QuerySet[Assistant]":
    """Return the rows whose name or description contains each word of the query."""
    for word in query.split()[:WORDS]:
        rows = rows.filter(contains("name", word) | contains("description", word))
    return rows


def assistant_for(principal: Principal, value: object) -> Assistant:
    """Return the assistant with this id or slug. Raises NotFound unless the principal may use it."""
    return _find(assistants_for(principal), value)


def assistant_named(principal: Principal, slug: str) -> Assistant:
    """Return the assistant with this slug. Raises NotFound unless the principal may use it."""
    return _get(assistants_for(principal).filter(slug=slug))


def assistant_managed_by(principal: Principal, value: object) -> Assistant:
    """Return the assistant with this id or slug. Raises NotFound unless the principal may use it, Forbidden
    unless they may change it."""
    try:
        return _find(assistants_managed_by(principal), value)
    except NotFound:
        _find(assistants_for(principal), value)
        raise Forbidden from None


def _find(rows: "QuerySet[Assistant]", value: object) -> Assistant:
    try:
        identity = parse_id(value)
    except NotFound:
        return _get(rows.filter(slug=str(value)))
    return _get(rows.filter(pk=identity))


def _get(rows: "QuerySet[Assistant]") -> Assistant:
    found = rows.first()
    if found is None:
        raise NotFound
    return found


def visible_bases(assistants: Collection[Assistant], principal: Principal) -> dict[UUID, list[KnowledgeBase]]:
    """Return by assistant those of its knowledge bases that the principal may read, ordered by name."""
    links = _Bases.objects.filter(assistant__in=assistants, knowledgebase__in=knowledge_bases_for(principal))
    found: dict[UUID, list[KnowledgeBase]] = {assistant.pk: [] for assistant in assistants}
    for link in links.select_related("knowledgebase").order_by("knowledgebase__name", "knowledgebase"):
        found[link.assistant_id].append(link.knowledgebase)
    return found


def assistant_scope(
    principal: Principal, assistant: Assistant | None, knowledge_bases: Collection[object] | None
) -> Scope:
    """Return what a question is answered from: of the assistant's knowledge bases those that the asker may
    read, and of these the ones that were named."""
    named = None if knowledge_bases is None else scope_for(principal, knowledge_bases)
    if assistant is None:
        return scope_for(principal) if named is None else named
    bases = set(_Bases.objects.filter(assistant=assistant).values_list("knowledgebase", flat=True))
    return scope_for(principal, bases if named is None else bases & named.readable)
