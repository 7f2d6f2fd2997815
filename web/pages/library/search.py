"""Search over all documents a user may read, by metadata or by content."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe
from pydantic import ValidationError

from cairn.access.permissions import documents_for
from cairn.access.scope import Principal
from cairn.access.selectors import scope_for
from cairn.accounts.models import User
from cairn.errors import InvalidInput, TransientError
from cairn.library.document_filters import SOON, Review, Sort
from cairn.library.models import Document
from cairn.limits.rate_limits import search_count
from retrieval.answering.text.spelling import correct_text, quote_as_typed
from retrieval.engine import get_engine
from retrieval.index.protocol import Filters
from retrieval.search.hybrid_search import search
from retrieval.search.spelling import SpellingScope, search_corrected
from retrieval.types import Hit as RetrievedHit
from retrieval.types import SpellingCorrection
from web.api.framework.pagination import keyset_page
from web.api.library.library import LibraryQuery, library_rows
from web.api.schemas import Hit
from web.i18n.localize import localize
from web.pages.library.document_rows import STATUSES, document_row
from web.pages.library.knowledge_bases import base_cards
from web.pages.shell.decorators import fragment
from web.presentation.file_groups import ICONS, NAMES, kind_of
from web.presentation.query_marks import FindSpans, excerpt, find_parts, find_words, mark_found

PAGE: Final = 50
OWNERS: Final = 200
PASSAGES: Final = 40
SNIPPET: Final = 280
"""Characters shown of a passage."""
INSIDE_AT_MOST: Final = 2000
"""So many documents a search inside may be narrowed to by other things than the knowledge base."""
WITHIN: Final = {
    "7": _("Last week"),
    "30": _("Last month"),
    "90": _("Last three months"),
    "365": _("Last year"),
}
REVIEWS: Final = {
    Review.OVERDUE: _("Review overdue"),
    Review.DUE: _("Review due soon"),
    Review.UNSET: _("No review date"),
}
SORTS: Final = {Sort.RELEVANCE: _("Relevance"), Sort.UPDATED: _("Last updated"), Sort.TITLE: _("Title")}
FIELDS: Final = ("q", "type", "owner", "review", "status", "sort", "cursor")


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A document found, with the words of the search marked. `review` is due, overdue, set or empty."""

    id: UUID
    title: SafeString
    source_uri: SafeString
    status: str
    status_label: str
    base: str
    slug: str
    kind: str
    icon: str
    owner: str
    updated_at: datetime
    review: str
    review_by: date | None


class Snippet(NamedTuple):
    hit: Hit
    text: SafeString


@dataclass(frozen=True, slots=True)
class Inside:
    """Passages of one document."""

    row: FoundRow
    snippets: tuple[Snippet, ...]


def search_form(request: HttpRequest, principal: Principal) -> dict[str, Any]:
    """Return the form's choices and current values."""
    params = {name: request.GET.get(name, "") for name in (*FIELDS, "base", "within")}
    return {
        "params": params,
        "types": NAMES.items(),
        "owners": _owners(principal),
        "within": WITHIN.items(),
        "reviews": REVIEWS.items(),
        "statuses": STATUSES,
        "sorts": SORTS.items(),
        "asked": any(params[name] for name in params if name not in {"sort", "cursor"}),
    }


def _owners(principal: Principal) -> list[User]:
    """Return owners of documents the principal may read, so that no other names are revealed."""
    owned = documents_for(principal).exclude(owner=None).values("owner")
    return list(User.objects.filter(pk__in=owned).order_by("username")[:OWNERS])


def load_search_context(request: HttpRequest, principal: Principal) -> dict[str, Any]:
    query = _query(request, principal)
    rows = library_rows(principal, query)
    page = keyset_page(rows.with_versions(), query, query.order)
    return {
        "documents": build_found_rows(page.rows, find_parts(query.q)),
        "next_cursor": page.next_cursor,
        "total": None if query.cursor else rows.count(),
        "address": _query_without(request, "cursor"),
    }


def _query(request: HttpRequest, principal: Principal) -> LibraryQuery:
    """Return the parameters of the URL without invalid values."""
    params = {name: request.GET[name] for name in FIELDS if request.GET.get(name)}
    params["q"] = params.get("q", "").replace("\0", "").strip()[:200]
    if request.GET.get("within") in WITHIN:
        params["updated_after"] = str(timezone.now() - timedelta(days=int(request.GET["within"])))
    if slug := request.GET.get("base"):
        bases = {base.slug: str(base.id) for base in base_cards(principal)}
        params["knowledge_base"] = bases.get(slug, "nothing")
    return _valid({**params, "limit": PAGE})


def _valid(params: Mapping[str, Any]) -> LibraryQuery:
    try:
        return LibraryQuery.model_validate(params)
    except ValidationError as error:
        wrong = {item["loc"][0] for item in error.errors()}
        return LibraryQuery.model_validate({name: params[name] for name in params if name not in wrong})


def _query_without(request: HttpRequest, name: str) -> str:
    rest = request.GET.copy()
    rest.pop(name, None)
    return rest.urlencode()


def build_found_rows(documents: Iterable[Document], find: FindSpans) -> list[FoundRow]:
    """Return rows in which what `find` finds is marked."""
    today = timezone.localdate()
    return [_build_found_row(document, find, today) for document in documents]


def _build_found_row(document: Document, find: FindSpans, today: date) -> FoundRow:
    shown, version = document_row(document, None), document.shown_version
    kind = kind_of(version.media_type) if version else None
    return FoundRow(
        id=document.id,
        title=mark_found(document.title, find),
        source_uri=mark_found(document.source_uri if document.source_uri != document.title else "", find),
        status=shown.status,
        status_label=shown.status_label,
        base=document.knowledge_base.name,
        slug=document.knowledge_base.slug,
        kind=str(NAMES[kind]) if kind else "",
        icon=ICONS.get(kind, "doc") if kind else "doc",
        owner=document.owner.label if document.owner else "",
        updated_at=shown.updated_at,
        review=review_state(document.review_by, today),
        review_by=document.review_by,
    )


def review_state(review_by: date | None, today: date) -> str:
    if review_by is None:
        return ""
    if review_by < today:
        return "overdue"
    return "due" if review_by <= today + SOON else "set"


@require_safe
@fragment
def list_matching_documents(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Render matching documents, or the next rows."""
    try:
        context = load_search_context(request, principal)
    except InvalidInput:  # an invalid cursor
        context = {"documents": (), "next_cursor": None, "total": 0}
    name = "_found_rows" if request.GET.get("cursor") else "_found"
    return render(request, f"pages/library/{name}.html", context)


@require_safe
@fragment
def inside(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Render passages by document, as retrieved for a question."""
    query = _query(request, principal)
    context: dict[str, Any] = {"query": query.q}
    try:
        if query.q:
            context["found"], context["spelling"] = _find_passages(query, principal)
            context["as_typed"] = quote_as_typed(query.q, context["spelling"])
    except TransientError as error:
        context["error"] = localize(error.message)
    return render(request, "pages/library/_inside.html", context)


def _find_passages(
    query: LibraryQuery, principal: Principal
) -> tuple[list[Inside], tuple[SpellingCorrection, ...]]:
    search_count(principal)
    scope = scope_for(principal, [query.knowledge_base] if query.knowledge_base else None)
    filters, engine = _filters(query, principal), get_engine()
    run = partial(search, scope=scope, filters=filters, limit=PASSAGES, engine=engine)
    hits, spelling = search_corrected(query.q, run, SpellingScope(scope, filters, engine))
    return _group_by_document(hits, principal, find_words(correct_text(query.q, spelling))), spelling


def _group_by_document(hits: Sequence[RetrievedHit], principal: Principal, find: FindSpans) -> list[Inside]:
    by_document: dict[UUID, list[Snippet]] = {}
    for hit in map(Hit.of, hits):
        text = mark_found(excerpt(hit.text, find, characters=SNIPPET), find)
        by_document.setdefault(UUID(hit.document), []).append(Snippet(hit, text))
    rows = documents_for(principal).filter(pk__in=by_document).with_versions()
    shown = {row.id: row for row in build_found_rows(rows, find)}
    return [Inside(shown[each], tuple(found)) for each, found in by_document.items() if each in shown]


def _filters(query: LibraryQuery, principal: Principal) -> Filters:
    """Return the ids of matching documents, as the index has no owners, types and reviews."""
    document_query = query.model_copy(update={"q": ""})
    if not document_query.document_filter(principal).narrows:
        return Filters()
    ids = library_rows(principal, document_query).order_by().values_list("id", flat=True)[:INSIDE_AT_MOST]
    return Filters(document_ids=tuple(ids))
