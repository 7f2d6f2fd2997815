"""Knowledge bases that a question can mention with “@”."""

from typing import Final

from django.db.models import Case, IntegerField, Q, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from cairn.access.permissions import knowledge_bases_for
from cairn.access.scope import Principal
from cairn.library.document_filters import WORDS, contains
from cairn.library.models import KnowledgeBase
from retrieval.assistants.models import Assistant
from retrieval.assistants.selectors import assistant_for
from web.pages.shell.decorators import fragment

FOUND: Final = 8


@require_safe
@fragment
def mentions(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Render the knowledge bases whose names match the text after the “@”."""
    typed = " ".join(request.GET.get("q", "").replace("\0", "").split())[:140]
    named = request.GET.get("assistant")
    assistant = assistant_for(principal, named) if named else None
    return render(request, "pages/chat/_mentions.html", {"bases": _matches(principal, typed, assistant)})


def _matches(principal: Principal, typed: str, assistant: Assistant | None) -> list[KnowledgeBase]:
    """Return those that the principal may read, only the assistant's if there is one. Names that begin with
    the text come first."""
    condition = Q(pk__in=assistant.knowledge_bases.values("pk")) if assistant else Q()
    for word in typed.split()[:WORDS]:
        condition &= contains("name", word)
    begins = When(name__istartswith=typed, then=Value(0))
    rank = Case(begins, default=Value(1), output_field=IntegerField())
    rows = knowledge_bases_for(principal).filter(condition).annotate(rank=rank).select_related("owner")
    return list(rows.order_by("rank", "name", "id")[:FOUND])
