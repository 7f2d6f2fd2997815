"""Stale documents: overdue for review, old, or never read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from cairn.access.models import Role
from cairn.access.permissions import documents_for, knowledge_bases_for
from cairn.access.scope import Principal
from cairn.access.selectors import require_role_anywhere
from cairn.library.models import Document, DocumentQuerySet
from retrieval.statistics.document_usage import not_updated_since, unread_since
from retrieval.statistics.models import DocumentUse
from web.pages.shell.decorators import number_in, page, show

SHOWN: Final = 50
DAYS_OF_A_MONTH: Final = 30
SPANS: Final[Mapping[str, tuple[Promise, int]]] = {
    "1": (_("1 month"), 1),
    "3": (_("3 months"), 3),
    "6": (_("6 months"), 6),
    "12": (_("12 months"), 12),
    "24": (_("24 months"), 24),
}
USUAL_SPAN: Final = "12"
ORDERS: Final = {"overdue": ("review_by", "title", "id")}
OLDEST_FIRST: Final = ("active_version__created_at", "title", "id")


@dataclass(frozen=True, slots=True)
class StaleRow:
    id: UUID
    title: str
    base: str
    owner: str
    updated_at: datetime | None
    review_by: date | None
    is_overdue: bool
    cited_on: date | None
    opened_on: date | None


@dataclass(frozen=True, slots=True)
class StaleFilter:
    """Filters as typed into the form."""

    show: str
    span: str
    base: str
    owner: str
    q: str


def _overdue(documents: DocumentQuerySet, _day: date) -> DocumentQuerySet:
    return documents.filter(review_by__lt=timezone.now().date())


KINDS: Final[Mapping[str, tuple[Promise, Callable[[DocumentQuerySet, date], DocumentQuerySet]]]] = {
    "overdue": (_("Overdue for review"), _overdue),
    "old": (_("Not updated"), not_updated_since),
    "unread": (_("Neither cited nor opened"), unread_since),
}


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    """List documents of knowledge bases the principal manages. Raises Forbidden without any."""
    require_role_anywhere(principal, Role.MANAGER)
    managed = knowledge_bases_for(principal, role=Role.MANAGER).order_by("name", "id")
    form = _form_from(request)
    found = _filter_documents(documents_for(principal, role=Role.MANAGER).ready(), form)
    rows = Paginator(found, SHOWN).get_page(number_in(request.GET.get("page", "")))
    context = {
        "tab": "documents",
        "bases": managed,
        "kinds": {name: label for name, (label, _filter) in KINDS.items()},
        "spans": {name: label for name, (label, _months) in SPANS.items()},
        "wanted": form,
        "rows": rows,
        "documents": [_row(document) for document in rows],
        "keep": _query_string(form),
    }
    return show(request, principal, "pages/console/documents.html", context, area="console")


def _form_from(request: HttpRequest) -> StaleFilter:
    params = {
        name: request.GET.get(name, "").replace("\0", "").strip()[:200] for name in StaleFilter.__slots__
    }
    params["show"] = params["show"] if params["show"] in KINDS else "overdue"
    params["span"] = params["span"] if params["span"] in SPANS else USUAL_SPAN
    return StaleFilter(**params)


def _query_string(form: StaleFilter) -> str:
    params = {name: getattr(form, name) for name in StaleFilter.__slots__}
    return f"{urlencode({name: value for name, value in params.items() if value})}&"


def _filter_documents(documents: DocumentQuerySet, form: StaleFilter) -> DocumentQuerySet:
    months = SPANS[form.span][1]
    day = timezone.now().date() - timedelta(days=months * DAYS_OF_A_MONTH)
    found = KINDS[form.show][1](documents, day)
    found = found.filter(knowledge_base__slug=form.base) if form.base else found
    found = found.filter(owner__username__iexact=form.owner) if form.owner else found
    found = found.titled_like(form.q) if form.q else found
    order = ORDERS.get(form.show, OLDEST_FIRST)
    return found.select_related("knowledge_base", "owner", "active_version", "use").order_by(*order)


def _row(document: Document) -> StaleRow:
    use = getattr(document, "use", None) or DocumentUse()
    return StaleRow(
        document.id,
        document.title,
        document.knowledge_base.name,
        document.owner.label if document.owner else "",
        document.active_version.created_at if document.active_version else None,
        document.review_by,
        bool(document.review_by and document.review_by < timezone.now().date()),
        use.cited_on,
        use.opened_on,
    )
