"""Document page: metadata, text, and indexed passages."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from cairn.access.audience import people_reading
from cairn.access.permissions import documents_for
from cairn.access.scope import Principal
from cairn.access.selectors import (
    chunks_for,
    document_for,
    parse_id,
    scope_for,
    scope_of_files,
    scope_with_files,
)
from cairn.audit.services import record_unless_recent
from cairn.errors import NotFound
from cairn.library.models import Document, DocumentVersion
from ingestion.documents.services import REVIEW_DAYS
from ingestion.parse.page_images import PDF
from retrieval.statistics.services import document_opened
from web.api.schemas import Passage
from web.pages.library.document_rows import document_row, document_rows, jobs_of
from web.pages.library.knowledge_bases import base_card
from web.pages.library.parse_report import document_facts, document_properties, document_report, page_word
from web.pages.library.search import review_state
from web.pages.shell.decorators import fragment, page, show

MEMBERS = 500  # files of a mail or an archive that its page lists at most
PASSAGES = 30
VERSIONS = 50
INTERVALS = {
    30: _("in a month"),
    90: _("in three months"),
    182: _("in half a year"),
    365: _("in a year"),
    730: _("in two years"),
}
LAST = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Care:
    """Ownership and review. `owner` is the user name, by which the form finds the owner; pages show the
    label. `owner_reads` is false if the owner may not (or no longer) read the document.
    """

    owner: str
    owner_label: str
    owner_reads: bool
    review: str
    review_by: date | None
    review_days: int
    reviewed_at: datetime | None


@require_safe
@page
def document(request: HttpRequest, principal: Principal, document_id: str) -> HttpResponse:
    found = _open_document(principal, document_id)
    context = {
        **about(principal, found),
        "tab": "text",
        "has_text": bool(found.active_version and found.active_version.rendition),
        "pictured": _version_with_images(found),
        "passage": _passage(principal, found, request.GET.get("chunk")),
    }
    return show(request, principal, "pages/library/document.html", context, area="library")


def _version_with_images(found: Document) -> DocumentVersion | None:
    """Return the version whose pages can be shown as images, if any."""
    version = found.shown_version
    return version if version and version.pages and version.media_type == PDF else None


@require_safe
@page
def passages(request: HttpRequest, principal: Principal, document_id: str) -> HttpResponse:
    found = _open_document(principal, document_id)
    context = {**about(principal, found), "tab": "passages", **_passages(found, after=-1)}
    return show(request, principal, "pages/library/passages.html", context, area="library")


@require_safe
@fragment
def more_passages(request: HttpRequest, principal: Principal, document_id: str, after: int) -> HttpResponse:
    """Render the passages after the one numbered `after`."""
    found = _open_document(principal, document_id)
    context = {"doc": found, **_passages(found, after=after)}
    return render(request, "pages/library/_passages.html", context)


def _open_document(principal: Principal, document_id: str) -> Document:
    found = document_for(principal, document_id)
    record_unless_recent("document.opened", actor=principal.actor, subject=f"document:{found.id}")
    if found.knowledge_base.conversation is None:
        document_opened(document=found.id, principal=principal)
    return found


def _passages(found: Document, *, after: int) -> dict[str, Any]:
    version = found.shown_version
    if version is None:
        return {"passages": (), "next": None}
    rows = list(version.chunks.filter(ordinal__gt=min(after, LAST)).order_by("ordinal")[: PASSAGES + 1])
    shown = rows[:PASSAGES]
    return {
        "passages": [Passage.of(row, version) for row in shown],
        "next": shown[-1].ordinal if len(rows) > PASSAGES else None,
    }


def about(principal: Principal, found: Document) -> dict[str, Any]:
    """Return the context of the header above every tab of a document."""
    members = documents_for(principal, attached=True).filter(parent=found).with_versions()[:MEMBERS]
    parts = list(members)
    return {
        "doc": document_row(found, jobs_of([found]).get(_latest(found))),
        "facts": document_facts(found),
        "properties": document_properties(found),
        "report": document_report(found),
        "page_word": page_word(found.shown_version),
        "parts": document_rows(parts, jobs_of(parts)),
        "parent": documents_for(principal, attached=True).filter(children=found).first(),
        "base": base_card(principal, found.knowledge_base),
        "care": care_of(found),
        "intervals": _intervals(found.review_days or REVIEW_DAYS),
        "answering": found.active_version.number if found.active_version else None,
        "has_passages": found.active_version is not None,
        "versions": list(found.versions.select_related("created_by").order_by("-number")[:VERSIONS]),
    }


def care_of(found: Document) -> Care:
    """Return owner, and last and next review, of the document."""
    owner = found.owner
    return Care(
        owner=owner.username if owner else "",
        owner_label=owner.label if owner else "",
        owner_reads=owner is None or people_reading(found).filter(pk=owner.pk).exists(),
        review=review_state(found.review_by, timezone.localdate()),
        review_by=found.review_by,
        review_days=found.review_days or REVIEW_DAYS,
        reviewed_at=found.reviewed_at,
    )


def _intervals(chosen: int) -> list[tuple[int, Any]]:
    """Return the usual review intervals, and the present one if set over REST."""
    days = sorted({*INTERVALS, chosen})
    return [
        (each, INTERVALS.get(each) or ngettext("in %(n)s day", "in %(n)s days", each) % {"n": each})
        for each in days
    ]


def _latest(found: Document) -> Any:
    return found.latest_version_id


def _passage(principal: Principal, found: Document, chunk_id: str | None) -> dict[str, Any] | None:
    """Return the passage named in the URL, to highlight it, unless it is of an old version."""
    try:
        identity = parse_id(chunk_id)
    except NotFound:
        return None
    scope = scope_for(principal, [found.knowledge_base_id])
    if found.knowledge_base.conversation is not None:
        scope = scope_of_files(scope_with_files(scope, found.knowledge_base.conversation))
    chunk = chunks_for(scope, [identity]).filter(version__document=found).first()
    if chunk is None:
        return None
    shape = Passage.of(chunk, chunk.version)
    return {"quote": shape.text, "page": shape.page, "section": shape.section, "location": shape.location}
