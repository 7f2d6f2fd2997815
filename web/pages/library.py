"""The library: knowledge bases, their documents, one document."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from cairn.access.lookup import as_id, chunks_for, document_for, knowledge_base_named, scope_for
from cairn.access.rules import documents_for
from cairn.access.scope import Principal
from cairn.errors import NotFound
from cairn.library.models import Document, KnowledgeBase
from web.pages.bases import base_card, base_cards
from web.pages.documents import (
    LABELS,
    STATUSES,
    document_facts,
    document_row,
    document_rows,
    document_warnings,
    jobs_of,
)
from web.pages.door import fragment, page, show

PAGE = 100


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    return show(
        request, principal, "pages/library/index.html", {"bases": base_cards(principal)}, area="library"
    )


@require_safe
@page
def knowledge_base(request: HttpRequest, principal: Principal, slug: str) -> HttpResponse:
    base = knowledge_base_named(principal, slug)
    context = {"statuses": STATUSES, **_listing(request, principal, base)}
    return show(request, principal, "pages/library/knowledge_base.html", context, area="library")


@require_safe
@fragment
def documents(request: HttpRequest, principal: Principal, slug: str) -> HttpResponse:
    """The table, or the rows after those that are shown already."""
    context = _listing(request, principal, knowledge_base_named(principal, slug))
    name = "_rows" if context["page"] > 1 else "_documents"
    return render(request, f"pages/library/{name}.html", context)


def _listing(request: HttpRequest, principal: Principal, base: KnowledgeBase) -> dict[str, Any]:
    query = request.GET.get("q", "").replace("\0", "").strip()[:200]
    status = request.GET.get("status", "")
    number = _number(request.GET.get("page", ""))
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


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 6 and int(text) else 1


@require_safe
@page
def document(request: HttpRequest, principal: Principal, document_id: str) -> HttpResponse:
    found = document_for(principal, document_id)
    context = {
        "doc": document_row(found, jobs_of([found]).get(_latest(found))),
        "facts": document_facts(found),
        "warnings": document_warnings(found),
        "has_text": bool(found.active_version and found.active_version.rendition),
        "base": base_card(principal, found.knowledge_base),
        "passage": _passage(principal, found, request.GET.get("chunk")),
    }
    return show(request, principal, "pages/library/document.html", context, area="library")


def _latest(found: Document) -> Any:
    return found.latest_version_id


def _passage(principal: Principal, found: Document, chunk_id: str | None) -> dict[str, Any] | None:
    """The chunk that the address names, to be lit in the text; one of an old version is not there."""
    try:
        wanted = as_id(chunk_id)
    except NotFound:
        return None
    scope = scope_for(principal, [found.knowledge_base_id])
    chunk = chunks_for(scope, [wanted]).filter(version__document=found).first()
    return {"quote": chunk.text, "page": chunk.page, "section": chunk.section} if chunk else None
