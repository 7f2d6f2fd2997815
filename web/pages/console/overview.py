"""The administration's overview: usage, answer quality, ingestion, and tasks for admins.

Managers see numbers about their knowledge bases only: neither askers nor questions.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_safe

from cairn.access.models import Role
from cairn.access.permissions import documents_for, knowledge_bases_for
from cairn.access.scope import Principal
from cairn.access.selectors import require_role_anywhere
from cairn.library.models import KnowledgeBase
from cairn.settings import environment
from ingestion.jobs.statistics import count_ended_by_day, jobs_in, waiting
from retrieval.gaps.models import GapState
from retrieval.gaps.selectors import gaps_for
from retrieval.models import IndexGeneration
from retrieval.statistics import question_counts
from retrieval.statistics.periods import Period
from web.access_checks.services import has_leak
from web.pages.console.kpi_cards import tiles_of
from web.pages.shell.decorators import page, show
from web.presentation.charts import Chart, Series, build_line_chart, build_stacked_chart

PERIODS: Final = {7: gettext_lazy("7 days"), 30: gettext_lazy("30 days"), 90: gettext_lazy("90 days")}
USUAL: Final = 30
THOUSAND: Final = 1000


@dataclass(frozen=True, slots=True)
class ViewRange:
    """The displayed period and scope. `bases`: None for everything, which only admins see."""

    period: Period
    before: Period
    zone: tzinfo
    bases: Collection[UUID] | None


@dataclass(frozen=True, slots=True)
class Need:
    text: str
    url: str
    is_urgent: bool = False


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_role_anywhere(principal, Role.MANAGER)
    managed = list(knowledge_bases_for(principal, role=Role.MANAGER).order_by("name", "id"))
    days = _days(request.GET.get("days", ""))
    chosen = next((base for base in managed if base.slug == request.GET.get("kb", "")), None)
    viewed = _build_view_range(principal, managed, chosen, days)
    context = {
        "tab": "overview",
        "periods": PERIODS,
        "days": days,
        "zone": str(viewed.zone),
        "bases": managed,
        "chosen": chosen,
        "needs": _needs(principal),
        "has_health": principal.administers,
        **_figures(viewed),
    }
    return show(request, principal, "pages/console/overview.html", context, area="console")


def _days(text: str) -> int:
    return next((days for days in PERIODS if str(days) == text), USUAL)


def _build_view_range(
    principal: Principal, managed: Sequence[KnowledgeBase], chosen: KnowledgeBase | None, days: int
) -> ViewRange:
    zone = ZoneInfo(environment().time_zone)
    period = Period.ending(datetime.now(zone).date(), days, zone)
    shown = [base.id for base in ([chosen] if chosen else managed)]
    everything = principal.is_admin and chosen is None
    return ViewRange(period, period.before(zone), zone, None if everything else shown)


def _figures(viewed: ViewRange) -> dict[str, Any]:
    asked = question_counts.filter_questions(viewed.period, viewed.bases)
    before = question_counts.filter_questions(viewed.before, viewed.bases)
    jobs = jobs_in(viewed.bases)
    return {
        "tiles": tiles_of(question_counts.summary_of(asked), question_counts.summary_of(before)),
        "charts": [*_question_charts(viewed.period, asked), _ingestion_chart(viewed, jobs)],
        "tokens": question_counts.tokens_of(asked),
        "queue": waiting(jobs),
    }


def _question_charts(period: Period, asked: Any) -> list[Chart]:
    counts = question_counts.counts_by_day(asked, period)
    days = period.days

    def build_series(label: str, name: str, tone: str) -> Series:
        return Series(label, [getattr(each, name) for each in counts], tone)

    return [
        build_stacked_chart(
            "verdicts",
            _("Questions"),
            days,
            [
                build_series(_("Supported"), "supported", "good"),
                build_series(_("Partly supported"), "partial", "middling"),
                build_series(_("Not answered"), "refused", "poor"),
                build_series(_("Stopped or failed"), "unfinished", "none"),
            ],
        ),
        build_stacked_chart("people", _("Active users"), days, [build_series(_("People"), "people", "good")]),
        build_stacked_chart(
            "feedback",
            _("Feedback"),
            days,
            [build_series(_("Helpful"), "up", "good"), build_series(_("Not helpful"), "down", "poor")],
        ),
        _latency_chart("first", _("Time to first word"), period, asked, "first_token_ms"),
        _latency_chart("whole", _("Time to full answer"), period, asked, "total_ms"),
    ]


def _latency_chart(name: str, title: str, period: Period, asked: Any, field: str) -> Chart:
    found = question_counts.percentiles_by_day(asked, field, period)
    series = [
        Series(_("Median"), [_seconds(each.p50) for each in found], "good"),
        Series(_("95th percentile"), [_seconds(each.p95) for each in found], "middling"),
    ]
    return build_line_chart(name, title, period.days, series, unit=_("s"), decimals=1)


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / THOUSAND


def _ingestion_chart(viewed: ViewRange, jobs: Any) -> Chart:
    period = viewed.period
    ended = count_ended_by_day(jobs, period.days, period.begin, period.end, viewed.zone)
    series = [
        Series(_("Searchable"), [each.ready for each in ended], "good"),
        Series(_("Failed"), [each.failed for each in ended], "bad"),
    ]
    return build_stacked_chart("ingestion", _("Documents processed"), period.days, series)


def _needs(principal: Principal) -> list[Need]:
    """Return tasks, most urgent first, that the principal can do something about."""
    return [*_needs_of_install(principal), *_needs_of_documents(principal)]


def _needs_of_install(principal: Principal) -> list[Need]:
    if not principal.administers:
        return []
    needs = []
    if has_leak():
        text = _("The last access check found a leak.")
        needs.append(Need(text, reverse("pages:console-access-checks"), is_urgent=True))
    if ownerless := knowledge_bases_for(principal).filter(owner=None).count():
        text = ngettext(
            "%(n)s knowledge base has no owner.", "%(n)s knowledge bases have no owner.", ownerless
        )
        needs.append(Need(text % {"n": ownerless}, reverse("pages:console")))
    if IndexGeneration.objects.exclude(error="").exists():
        needs.append(Need(_("The index build failed."), reverse("pages:console-models")))
    return needs


def _needs_of_documents(principal: Principal) -> list[Need]:
    documents = documents_for(principal, role=Role.MANAGER)
    today = datetime.now(ZoneInfo(environment().time_zone)).date()
    failed, overdue = documents.failed().count(), documents.filter(review_by__lt=today).count()
    gaps = gaps_for(principal).filter(state=GapState.OPEN).count()
    needs = []
    if failed:
        text = ngettext("%(n)s document failed to process.", "%(n)s documents failed to process.", failed)
        needs.append(Need(text % {"n": failed}, reverse("pages:console-ingestion")))
    if overdue:
        text = ngettext(
            "%(n)s document is overdue for review.", "%(n)s documents are overdue for review.", overdue
        )
        needs.append(Need(text % {"n": overdue}, f"{reverse('pages:console-documents')}?show=overdue"))
    if gaps:
        text = ngettext("%(n)s knowledge gap is open.", "%(n)s knowledge gaps are open.", gaps)
        needs.append(Need(text % {"n": gaps}, reverse("pages:console-gaps")))
    return needs
