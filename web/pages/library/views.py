"""The library: knowledge bases and their documents."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from cairn.access.permissions import documents_for
from cairn.access.scope import Principal
from cairn.access.selectors import knowledge_base_named
from cairn.errors import InvalidInput, NotFound
from cairn.library.models import KnowledgeBase
from cairn.settings import environment
from web.pages.library.document_rows import LABELS, STATUSES, document_rows, jobs_of
from web.pages.library.imports import failures_data, open_imports
from web.pages.library.knowledge_bases import base_card, base_cards
from web.pages.library.search import load_search_context, search_form
from web.pages.shell.decorators import fragment, number_in, page, show

PAGE = 100


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    form = search_form(request, principal)
    try:
        found = load_search_context(request, principal)
    except InvalidInput as error:  # an invalid cursor
        raise NotFound from error
    context = {"bases": base_cards(principal), **form, **found}
    return show(request, principal, "pages/library/index.html", context, area="library")


@require_safe
@page
def knowledge_base(request: HttpRequest, principal: Principal, slug: str) -> HttpResponse:
    base = knowledge_base_named(principal, slug)
    context = {"statuses": STATUSES, **_listing(request, principal, base)}
    if context["base"].edits:
        context |= {
            "max_bytes": environment().upload_max_mb << 20,
            "open_imports": open_imports(principal, base),
            "failures": failures_data(),
        }
    return show(request, principal, "pages/library/knowledge_base.html", context, area="library")


@require_safe
@fragment
def documents(request: HttpRequest, principal: Principal, slug: str) -> HttpResponse:
    """Render the table, or its next rows."""
    context = {"fresh": True, **_listing(request, principal, knowledge_base_named(principal, slug))}
    name = "_rows" if context["page"] > 1 else "_documents"
    return render(request, f"pages/library/{name}.html", context)


def _listing(request: HttpRequest, principal: Principal, base: KnowledgeBase) -> dict[str, Any]:
    query = request.GET.get("q", "").replace("\0", "").strip()[:200]
    status = request.GET.get("status", "")
    number = number_in(request.GET.get("page", ""))
    rows = documents_for(principal).filter(knowledge_base=base).with_versions()
    rows = rows.titled_like(query) if query else rows
    rows = rows.with_status(status) if status in LABELS else rows
    found = list(rows.order_by("-created_at", "-id")[(number - 1) * PAGE : number * PAGE + 1])
    return {
        "base": base_card(principal, base),
        "documents": document_rows(found[:PAGE], jobs_of(found[:PAGE])),
        "next_page": number + 1 if len(found) > PAGE else None,
        "page": number,
        "query": query,
        "status": status,
    }
