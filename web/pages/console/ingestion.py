"""Ingestion page: running jobs, the queue, failures, and the server's supported formats."""

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_safe

from cairn.access.models import Role
from cairn.access.permissions import knowledge_bases_for
from cairn.access.scope import Principal
from cairn.access.selectors import require_role_anywhere
from cairn.failures import failure_of
from cairn.settings import environment
from ingestion.models import JobQuerySet, Stage, Watch
from ingestion.parse.sandbox import programs
from ingestion.selectors import imports_for
from web.pages.console.ingestion_queue import editable_jobs, queue_now
from web.pages.library.imports import import_rows
from web.pages.shell.decorators import fragment, number_in, page, show

SHOWN = 20
FAILED_SHOWN = 100
PROGRAMS: Final = {
    programs.TESSERACT: ("Tesseract", gettext_noop("scanned pages and images of text")),
    programs.SOFFICE: ("LibreOffice", gettext_noop("Word and PowerPoint 97–2003 files")),
    programs.PANDOC: (
        "Pandoc",
        gettext_noop("e-books, OpenDocument text, rich text, reStructuredText and Org"),
    ),
}


@dataclass(frozen=True, slots=True)
class Ability:
    """An external program, and the formats that need it."""

    name: str
    ok: bool
    reads: str


@dataclass(frozen=True, slots=True)
class FailureGroup:
    code: str
    name: str
    advice: str
    jobs: int


@require_safe
@page
def ingesting(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Show jobs of knowledge bases the principal edits. Raises Forbidden without any."""
    require_role_anywhere(principal, Role.EDITOR)
    bases = knowledge_bases_for(principal, role=Role.EDITOR)
    context = {
        "tab": "ingestion",
        "bases": bases.order_by("name"),
        "failures": _failures(principal),
        **queue_now(principal),
        **_imports(principal, request.GET.get("page", "")),
        **(_administration() if principal.is_admin else {}),
    }
    return show(request, principal, "pages/console/ingestion.html", context, area="console")


@require_safe
@fragment
def queue(request: HttpRequest, principal: Principal) -> HttpResponse:
    return render(request, "pages/console/_queue.html", queue_now(principal))


@require_safe
@fragment
def imports(request: HttpRequest, principal: Principal) -> HttpResponse:
    found = _imports(principal, request.GET.get("page", ""))
    return render(request, "pages/console/_imports.html", found)


@require_safe
@fragment
def failures(request: HttpRequest, principal: Principal) -> HttpResponse:
    return render(request, "pages/console/_failures.html", {"failures": _failures(principal)})


@require_safe
@fragment
def list_failed_documents(request: HttpRequest, principal: Principal, code: str) -> HttpResponse:
    """Render documents that failed for one reason."""
    jobs = _find_retryable_jobs(principal).filter(version__error_code=code).order_by("-updated_at")
    related = jobs.select_related("version__document__knowledge_base")
    context = {"jobs": related[:FAILED_SHOWN], "more": max(jobs.count() - FAILED_SHOWN, 0)}
    return render(request, "pages/console/_failed.html", context)


def _find_retryable_jobs(principal: Principal) -> JobQuerySet:
    """Return failed jobs that can be retried: no newer version exists."""
    return editable_jobs(principal).filter(stage=Stage.FAILED, version=F("version__document__latest_version"))


def _failures(principal: Principal) -> list[FailureGroup]:
    rows = _find_retryable_jobs(principal).order_by().values("version__error_code").annotate(jobs=Count("id"))
    groups = [_group(row["version__error_code"], row["jobs"]) for row in rows]
    return sorted(groups, key=lambda group: -group.jobs)


def _group(code: str, jobs: int) -> FailureGroup:
    failure = failure_of(code)
    return FailureGroup(code, gettext(failure.name), gettext(failure.advice), jobs)


def _imports(principal: Principal, page_number: str) -> dict[str, Any]:
    number = number_in(page_number)
    rows = imports_for(principal).filter(knowledge_base__in=knowledge_bases_for(principal, role=Role.EDITOR))
    found = list(rows.order_by("-created_at", "-id")[(number - 1) * SHOWN : number * SHOWN + 1])
    more = len(found) > SHOWN
    return {"imports": import_rows(found[:SHOWN], principal), "next_page": number + 1 if more else None}


def _administration() -> dict[str, Any]:
    watches = Watch.objects.filter(knowledge_base__deleted_at=None).select_related("knowledge_base")
    return {
        "watches": watches.order_by("path"),
        "roots": environment().watch_roots,
        "abilities": _abilities(),
    }


def _abilities() -> list[Ability]:
    return [
        Ability(name, bool(programs.find(one)), gettext(reads)) for one, (name, reads) in PROGRAMS.items()
    ]
