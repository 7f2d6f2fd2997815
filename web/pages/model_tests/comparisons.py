"""Comparisons of two models, for admins: start one, and see how many questions each answers rightly."""

from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_safe

from cairn.access.models import Role
from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from retrieval.evaluation.candidates import list_names, settings_for
from retrieval.evaluation.gold_questions import gold_questions_for
from retrieval.evaluation.model_comparisons.answers import MODELS, ComparedResult, ModelSummary, summarize
from retrieval.evaluation.models import ModelComparison, TrialState
from retrieval.evaluation.significance import PairedTest
from web.i18n.localize import percent
from web.pages.library.knowledge_bases import base_cards
from web.pages.model_tests.polling import reload_at_end
from web.pages.shell.decorators import fragment, page, show

SHOWN = 30
RESULT_LABELS: Final = {
    ComparedResult.RIGHT: gettext_noop("Correct"),
    ComparedResult.UNANSWERED: gettext_noop("Unanswered"),
    ComparedResult.WRONG: gettext_noop("Wrong"),
}


@dataclass(frozen=True, slots=True)
class CountView:
    """A count of questions with its share and interval, as text."""

    label: str
    questions: int
    share: str
    interval: str


@dataclass(frozen=True, slots=True)
class ModelView:
    name: str
    server: str
    counts: tuple[CountView, ...]
    seconds: float | None


@dataclass(frozen=True, slots=True)
class ComparisonView:
    row: ModelComparison
    asked: int
    models: tuple[ModelView, ...]
    test: PairedTest | None


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    with_questions = set(gold_questions_for(principal).values_list("knowledge_base", flat=True))
    context = {
        **_list_comparisons(),
        "tab": "model-comparisons",
        "names": [name for name in list_names() if settings_for(name).llm_location == "inside"],
        "bases": [each for each in base_cards(principal, role=Role.MANAGER) if each.id in with_questions],
    }
    return show(request, principal, "pages/models/comparisons.html", context, area="console")


@require_safe
@fragment
def progress(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Render the comparisons. When the one in progress ends, the page is reloaded to update its button."""
    require_admin(principal)
    context = _list_comparisons()
    response = render(request, "pages/models/_comparisons.html", context)
    return reload_at_end(response, running=context["running"])


def _list_comparisons() -> dict[str, Any]:
    rows = list(ModelComparison.objects.select_related("knowledge_base", "requested_by")[:SHOWN])
    running = any(row.state == TrialState.RUNNING for row in rows)
    return {"comparisons": [_view_comparison(row) for row in rows], "running": running}


def _view_comparison(row: ModelComparison) -> ComparisonView:
    summary = summarize(row.results)
    models = tuple(_view_model(row, name, summary.models[name]) for name in MODELS)
    return ComparisonView(row, summary.questions, models, summary.test)


def _view_model(row: ModelComparison, name: str, summary: ModelSummary) -> ModelView:
    counts = tuple(
        CountView(
            gettext(RESULT_LABELS[result]),
            count.questions,
            percent(count.share),
            f"{percent(count.low)}–{percent(count.high)}",
        )
        for result, count in summary.results.items()
    )
    seconds = None if summary.answer_ms is None else summary.answer_ms / 1000
    return ModelView(getattr(row, name), getattr(row, f"{name}_server"), counts, seconds)
