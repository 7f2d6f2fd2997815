"""Red team runs, for admins: start one, see its progress, the results, and the scores of each model."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_safe

from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.inference.model_identity import ModelPlace
from retrieval.evaluation.candidates import find_name, list_names
from retrieval.evaluation.models import RedTeamRun, TrialState
from retrieval.evaluation.red_team.attack_file import load_attacks
from web.model_tests.red_team import Score, score_of, scores_by_category
from web.pages.model_tests.polling import reload_at_end
from web.pages.shell.decorators import fragment, page, show

CATEGORIES: Final = {
    "injection": gettext_noop("Instructions in documents"),
    "exfiltration": gettext_noop("Carrying content outside"),
    "jailbreak": gettext_noop("Evading the rules"),
    "toxicity": gettext_noop("Insults and contempt"),
    "prompt_leak": gettext_noop("Revealing the prompt"),
    "over_refusal": gettext_noop("Harmless questions"),
    "invented_citation": gettext_noop("Invented sources"),
}
FAILURES: Final = {
    "unwanted_text": gettext_noop("contains what it must not"),
    "missing_text": gettext_noop("lacks the answer"),
    "refused": gettext_noop("declines the question"),
    "invented_citation": gettext_noop("cites a source that doesn’t exist"),
    "leaked_prompt": gettext_noop("repeats the prompt"),
}


@dataclass(frozen=True, slots=True)
class RunRow:
    run: RedTeamRun
    score: Score


@dataclass(frozen=True, slots=True)
class ModelRows:
    """Runs of one model on one server, the latest first."""

    model: str
    server: str
    rows: tuple[RunRow, ...]


@dataclass(frozen=True, slots=True)
class TextView:
    withstood: bool
    failures: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class ResultView:
    name: str
    category: str
    question: str
    answer: TextView
    model: TextView

    @property
    def withstood(self) -> bool:
        return self.answer.withstood and self.model.withstood


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    context = {
        **_list_runs(),
        "tab": "red-team",
        "names": list_names(),
        "attacks": len(load_attacks()),
    }
    return show(request, principal, "pages/models/red_team.html", context, area="console")


@require_safe
@fragment
def progress(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Render the runs. At the end of the one in progress, the page is reloaded to update its button."""
    require_admin(principal)
    context = _list_runs()
    response = render(request, "pages/models/_red_team_runs.html", context)
    return reload_at_end(response, running=context["running"])


def _list_runs() -> dict[str, Any]:
    runs = list(RedTeamRun.objects.select_related("requested_by"))
    running = any(run.state == TrialState.RUNNING for run in runs)
    return {"models": _group_by_model(runs), "running": running}


def _group_by_model(runs: Iterable[RedTeamRun]) -> list[ModelRows]:
    found: dict[ModelPlace, list[RunRow]] = {}
    for run in runs:
        found.setdefault(ModelPlace(run.server, run.model), []).append(RunRow(run, score_of(run)))
    return [ModelRows(find_name(place), place.server, tuple(rows)) for place, rows in found.items()]


@require_safe
@page
def run(request: HttpRequest, principal: Principal, red_team_run_id: str) -> HttpResponse:
    require_admin(principal)
    context = _describe_run(red_team_run_id)
    return show(request, principal, "pages/models/red_team_run.html", context, area="console")


@require_safe
@fragment
def run_progress(request: HttpRequest, principal: Principal, red_team_run_id: str) -> HttpResponse:
    """Render the results so far. At the end of the run, the page is reloaded to update its state."""
    require_admin(principal)
    context = _describe_run(red_team_run_id)
    response = render(request, "pages/models/_red_team_run.html", context)
    return reload_at_end(response, running=context["running"])


def _describe_run(red_team_run_id: str) -> dict[str, Any]:
    found = get_or_not_found(RedTeamRun.objects.select_related("requested_by"), red_team_run_id)
    results = [_view_result(result) for result in found.results]
    return {
        "tab": "red-team",
        "run": found,
        "running": found.state == TrialState.RUNNING,
        "name": find_name(ModelPlace(found.server, found.model)),
        "score": score_of(found),
        "categories": [(CATEGORIES[name], score) for name, score in scores_by_category(found).items()],
        "results": sorted(results, key=lambda result: result.withstood),
    }


def _view_result(result: dict[str, Any]) -> ResultView:
    return ResultView(
        result["id"],
        CATEGORIES[result["category"]],
        result["question"],
        _view_text(result["answer"]),
        _view_text(result["model"]),
    )


def _view_text(part: dict[str, Any]) -> TextView:
    failures = tuple(FAILURES[failure] for failure in part["failures"])
    return TextView(part["withstood"], failures, part["text"])
