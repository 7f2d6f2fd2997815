"""Pages that show sources: for admins, and for managers of their knowledge bases, who can't change them."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from cairn.access.models import Role
from cairn.access.permissions import knowledge_bases_for
from cairn.access.scope import Principal
from cairn.access.selectors import require_role_anywhere
from cairn.errors import InvalidInput
from ingestion.models import Source, SourceItemState, SourceReaders, SourceTask
from ingestion.sources.kinds import get_kind
from ingestion.sources.selectors import (
    ScheduleState,
    item_counts,
    items_of,
    list_source_documents,
    schedules_of,
    source_for,
    sources_for,
)
from web.i18n.localize import localize
from web.pages.shell.decorators import fragment, number_in, page, show
from web.pages.sources.forms import READERS
from web.pages.sources.verification import verification_context
from web.sources.people import count_people
from web.sources.webhooks import has_webhook

SHOWN: Final = 50
LONGEST_TEXT: Final = 200
TASK_LABELS: Final[dict[SourceTask, tuple[str | Promise, str | Promise]]] = {
    SourceTask.CONTENT: (_("Content"), _("New, changed and deleted documents")),
    SourceTask.ACCESS: (_("Access"), _("Who may read each document")),
    SourceTask.PEOPLE: (_("People"), _("Members of groups, and their accounts")),
}
STATE_LABELS: Final[dict[SourceItemState, str | Promise]] = {
    SourceItemState.FAILED: _("Not imported"),
    SourceItemState.PENDING: _("Waiting"),
    SourceItemState.SYNCED: _("Up to date"),
    SourceItemState.EXCLUDED: _("Excluded"),
}
RESULT_LABELS: Final[dict[str, str | Promise]] = {
    "items": _("documents found"),
    "submitted": _("new or changed"),
    "renamed": _("renamed"),
    "removed": _("deleted"),
    "failed": _("not imported"),
    "unlisted": _("folders that can’t be listed"),
    "access_checked": _("permissions read"),
    "access_changed": _("permissions changed"),
    "people": _("people"),
    "groups": _("groups"),
    "linked": _("with an account"),
}


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task of a source as it is shown. `counts` are those of its last run, with what they count."""

    state: ScheduleState
    label: str
    hint: str
    counts: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source as it is shown. `check_error` is the problem of its last test, unless a task has succeeded
    since."""

    source: Source
    kind: str
    readers: str
    tasks: tuple[TaskRow, ...]
    check_error: str = ""

    @property
    def is_failing(self) -> bool:
        return bool(self.check_error) or any(row.state.error for row in self.tasks)

    @property
    def is_busy(self) -> bool:
        return any(row.state.running or row.state.requested for row in self.tasks)


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    """List the sources of all knowledge bases that the principal manages, or of one."""
    require_role_anywhere(principal, Role.MANAGER)
    slug = request.GET.get("base", "")[:LONGEST_TEXT].replace("\0", "")
    found = sources_for(principal).order_by("knowledge_base__name", "name")
    rows = Paginator(found.filter(knowledge_base__slug=slug) if slug else found, SHOWN)
    shown = rows.get_page(number_in(request.GET.get("page", "")))
    context = {
        "tab": "sources",
        "rows": shown,
        "sources": source_rows(list(shown)),
        "bases": knowledge_bases_for(principal, role=Role.MANAGER).order_by("name"),
        "base": slug,
        "query_prefix": f"{urlencode({'base': slug})}&" if slug else "",
    }
    return show(request, principal, "pages/sources/index.html", context, area="console")


@require_safe
@page
def source(request: HttpRequest, principal: Principal, source_id: str) -> HttpResponse:
    row = source_for(principal, source_id)
    totals = count_people(row) if principal.is_admin else None
    path = reverse("source-webhook", args=[str(row.id)]) if principal.is_admin and has_webhook(row) else ""
    context = {
        "tab": "sources",
        "webhook_url": request.build_absolute_uri(path) if path else "",
        "people": totals if totals and totals.all else None,
        "documents": list_source_documents(row).count(),
        **_source_context(row),
        **_items_context(request, row),
        **(verification_context(row) if principal.is_admin else {}),
    }
    return show(request, principal, "pages/sources/source.html", context, area="console")


@require_safe
@fragment
def progress(request: HttpRequest, principal: Principal, source_id: str) -> HttpResponse:
    """Render how the syncs go, for a page that follows them."""
    row = source_for(principal, source_id)
    return render(request, "pages/sources/_progress.html", {"me": principal, **_source_context(row)})


def source_rows(sources: list[Source]) -> list[SourceRow]:
    tested = Source.objects.filter(pk__in=[each.pk for each in sources]).with_failed_check()
    problems = dict(tested.values_list("pk", "check_error"))
    return [
        SourceRow(
            source=each,
            kind=_kind_label(each.kind),
            readers=str(READERS[SourceReaders(each.readers)][0]),
            tasks=tuple(_task_row(state) for state in schedules_of(each)),
            check_error=problems.get(each.pk, ""),
        )
        for each in sources
    ]


def _task_row(state: ScheduleState) -> TaskRow:
    label, hint = TASK_LABELS[state.task]
    counts = tuple(
        (int(state.result[name]), str(text)) for name, text in RESULT_LABELS.items() if state.result.get(name)
    )
    return TaskRow(state, str(label), str(hint), counts)


def _kind_label(name: str) -> str:
    """Return the label of a kind, or the name of one that this version doesn't have."""
    try:
        return localize(get_kind(name).label)
    except InvalidInput:
        return name


def _source_context(row: Source) -> dict[str, Any]:
    [shown] = source_rows([row])
    counts = item_counts(row)
    return {
        "row": shown,
        "has_items": counts.all > 0,
        "unreadable": list_source_documents(row).with_status("failed").count(),
        "counts": [
            (state.value, str(label), getattr(counts, state.value)) for state, label in STATE_LABELS.items()
        ],
    }


def _items_context(request: HttpRequest, row: Source) -> dict[str, Any]:
    asked = request.GET.get("state", "")
    state = SourceItemState(asked) if asked in SourceItemState.values else SourceItemState.FAILED
    text = request.GET.get("q", "").replace("\0", "").strip()[:LONGEST_TEXT]
    found = items_of(row, state=state, containing=text).order_by("container", "name", "id")
    items = Paginator(found, SHOWN).get_page(number_in(request.GET.get("page", "")))
    return {
        "items": items,
        "state": state.value,
        "text": text,
        "query_prefix": f"{urlencode({'state': state.value, 'q': text})}&",
    }
