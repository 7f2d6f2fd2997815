"""Health page for admins: what doesn't work, and what to do about it."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.library.models import Document
from web.data_dir.help_documents import find_help_document
from web.health.report import LIMIT_SECONDS, CheckedPart, HealthReport, health_report
from web.pages.shell.decorators import fragment, page, show

_TROUBLESHOOTING: Final = "docs/operate/troubleshooting.md"
_GUIDES: Final = {
    "workers": "docs/operate/workers.md",
    "beat": "docs/operate/workers.md",
    "broker": "docs/operate/cluster.md",
    "sources": "docs/administer/sources/README.md",
    "index": "docs/operate/reindexing.md",
    "backup": "docs/operate/backups.md",
    "language_model": "docs/operate/language-models.md",
    "answer_reader": "docs/operate/optional-models.md",
    "grounding_model": "docs/operate/optional-models.md",
}
"""Pages of the help on parts that need attention."""


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    report = health_report()
    context = {
        "tab": "health",
        "attention": _add_guides(report, principal),
        "report": report,
        "limit": round(LIMIT_SECONDS),
    }
    return show(request, principal, "pages/console/health.html", context, area="console")


def _add_guides(report: HealthReport, principal: Principal) -> list[tuple[CheckedPart, Document | None]]:
    """Return the parts that need attention, with the page of the help about each if it is loaded."""
    return [
        (part, find_help_document(_GUIDES.get(part.name, _TROUBLESHOOTING), principal))
        for part in report.attention
    ]


@require_safe
@fragment
def attention(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Render problems for the overview, which loads them separately, as checks may take seconds.

    `?others` means that the overview has other tasks.
    """
    require_admin(principal)
    context = {"report": health_report(), "others": "others" in request.GET}
    return render(request, "pages/console/_health_needs.html", context)
