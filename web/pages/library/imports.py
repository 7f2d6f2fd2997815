"""Imports as shown on pages, and the page of an import."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import floor
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_safe

from cairn.access.permissions import documents_for
from cairn.access.scope import Principal
from cairn.failures import FAILURES, Retry
from cairn.library.models import KnowledgeBase
from ingestion.imports.services import ImportState, Summary, summaries
from ingestion.models import Import, ImportKind
from ingestion.selectors import import_for, imports_for
from web.api.library.imports import Import as ImportShape
from web.i18n.localize import number, percent
from web.pages.library.knowledge_bases import base_card
from web.pages.shell.decorators import page, show

KINDS: Final = {
    ImportKind.FOLDER: gettext_noop("Uploaded"),
    ImportKind.ARCHIVE: gettext_noop("Extracted from a file"),
    ImportKind.WATCH: gettext_noop("Watched folder"),
    ImportKind.SOURCE: gettext_noop("Source"),
}
_LEAST_SHOWN: Final = 0.01
LOOKED_AT: Final = 20  # of the latest imports of a knowledge base, for those that are not over


@dataclass(frozen=True, slots=True)
class ImportRow:
    id: UUID
    label: str
    base: str
    username: str
    kind: str
    sum: str
    state: str
    progress: str
    failed: int
    created_at: datetime


@require_safe
@page
def show_import(request: HttpRequest, principal: Principal, import_id: str) -> HttpResponse:
    batch = import_for(principal, import_id)
    container = batch.container.document_id if batch.container else None
    context = {
        "batch": batch,
        "kind": gettext(KINDS[ImportKind(batch.kind)]),
        "container": documents_for(principal).filter(pk=container).first() if container else None,
        "shape": _shapes([batch], principal)[0],
        "base": base_card(principal, batch.knowledge_base),
        "failures": failures_data(),
    }
    return show(request, principal, "pages/library/import.html", context, area="library")


def import_rows(batches: Iterable[Import], principal: Principal) -> list[ImportRow]:
    found = list(batches)
    sums = summaries(found, principal)
    return [_row(batch, sums[batch.id]) for batch in found]


def _row(batch: Import, found: Summary) -> ImportRow:
    return ImportRow(
        id=batch.id,
        label=batch.label,
        base=batch.knowledge_base.name,
        username=batch.user.label if batch.user else "",
        kind=gettext(KINDS[ImportKind(batch.kind)]),
        sum=sum_line(found, expected=batch.expected),
        state=found.state,
        progress=str(found.progress),
        failed=found.failed + found.refused,
        created_at=batch.created_at,
    )


def sum_line(found: Summary, *, expected: int | None) -> str:
    """Format a summary like the scripts: `212 of 260 ready · 3 failed · 81%`."""
    counted = (
        (found.failed + found.refused, gettext("{n} failed")),
        (found.unchanged, gettext("{n} unchanged")),
        (found.cancelled, gettext("{n} cancelled")),
        (found.removed, gettext("{n} removed")),
    )
    files = max(found.files, expected or 0)
    ready = gettext("{ready} of {files} ready").format(ready=number(found.ready), files=number(files))
    parts = [ready, *(words.format(n=number(count)) for count, words in counted if count)]
    if not found.over and found.progress >= _LEAST_SHOWN:
        parts.append(percent(floor(found.progress * 100) / 100))
    if found.state == ImportState.CANCELLED:
        parts.append(gettext("import cancelled"))
    if found.state == ImportState.RECEIVING:
        parts.append(gettext("uploading"))
    return " · ".join(parts)


def open_imports(principal: Principal, base: KnowledgeBase) -> list[dict[str, Any]]:
    """Return open imports, oldest first, in the format of the REST API."""
    rows = imports_for(principal).filter(knowledge_base=base)
    latest = list(rows.order_by("-created_at")[:LOOKED_AT])
    over = {identity for identity, found in summaries(latest, principal).items() if found.over}
    return _shapes([batch for batch in reversed(latest) if batch.id not in over], principal)


def _shapes(batches: list[Import], principal: Principal) -> list[dict[str, Any]]:
    return [shape.model_dump(mode="json") for shape in ImportShape.all_of(batches, principal)]


def failures_data() -> dict[str, dict[str, Any]]:
    """Return names and advice of failure codes for the scripts."""
    return {
        code: {"name": gettext(f.name), "advice": gettext(f.advice), "retry": f.retry is not Retry.NEVER}
        for code, f in FAILURES.items()
    }
