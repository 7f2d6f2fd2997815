"""Pages of the model registry: register a model, test, activate, change and retire it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.accounts.models import User
from cairn.errors import Conflict, NotFound
from cairn.settings.stored.licences import LICENCES, Licence, has_ended
from cairn.settings.stored.models import ModelLocation, ModelStatus, ModelType, RegisteredModel
from cairn.settings.stored.store import chat_model_variable
from retrieval.conversations.ab_tests.results import ABTestResults, load_results
from retrieval.conversations.ab_tests.sequential_test import LOOKS
from retrieval.conversations.ab_tests.services import (
    MAX_ANSWERS,
    MAX_PERCENT,
    MIN_ANSWERS,
    find_running_test,
)
from retrieval.evaluation.shadow_runs import summarize_shadow_runs
from retrieval.models import ABTestState
from web.configuration.connection_tests import ConnectionResult
from web.configuration.registered_models import (
    active_name,
    find_ab_test_objection,
    find_objection,
    find_uncompared,
    model_test,
)
from web.i18n.localize import localize, number
from web.pages.shell.decorators import page, show

TYPES: Final = (
    (ModelType.CHAT.value, gettext_lazy("Language model")),
    (ModelType.EMBEDDING.value, gettext_lazy("Embedding model")),
    (ModelType.RERANKER.value, gettext_lazy("Reranker")),
    (ModelType.READER.value, gettext_lazy("Reader model")),
    (ModelType.CHECKER.value, gettext_lazy("Grounding model")),
    (ModelType.VISION.value, gettext_lazy("Vision model")),
)
LOCATIONS: Final = (
    (ModelLocation.INSIDE.value, gettext_lazy("Inside the organisation")),
    (ModelLocation.OUTSIDE.value, gettext_lazy("Outside: somebody else receives what it reads")),
)
STATUSES: Final = {
    ModelStatus.CANDIDATE: gettext_lazy("Candidate"),
    ModelStatus.ACTIVE: gettext_lazy("Active"),
    ModelStatus.RETIRED: gettext_lazy("Retired"),
}

_AB_TEST_COUNTS: Final = (
    ("people", gettext_lazy("People")),
    ("answers", gettext_lazy("All answers")),
    ("good", gettext_lazy("Good")),
    ("supported", gettext_lazy("Supported")),
    ("partial", gettext_lazy("Partly supported")),
    ("refused", gettext_lazy("Unanswered")),
    ("failed", gettext_lazy("Failed")),
    ("helpful", gettext_lazy("Helpful")),
    ("unhelpful", gettext_lazy("Not helpful")),
)
AB_TEST_STATES: Final = {
    ABTestState.RUNNING: gettext_lazy("Running"),
    ABTestState.BETTER: gettext_lazy("Ended: the candidate is significantly better"),
    ABTestState.WORSE: gettext_lazy("Stopped: the candidate is significantly worse"),
    ABTestState.NO_DIFFERENCE: gettext_lazy("Ended without a significant difference"),
    ABTestState.FAILING: gettext_lazy("Stopped: the candidate couldn’t answer several times in a row"),
    ABTestState.CHANGED: gettext_lazy("Stopped: one of the models has been changed"),
    ABTestState.STOPPED: gettext_lazy("Stopped by an administrator"),
}


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A registered model in the list. `is_adapter`: it stands below its base."""

    row: RegisteredModel
    status: str | Promise
    licence: Licence
    is_adapter: bool
    licence_ended: bool


def list_registered_models() -> list[ModelRow]:
    """Return all registered models by name, adapters below their base."""
    rows = RegisteredModel.objects.select_related("base")
    ordered = sorted(rows, key=lambda row: ((row.base or row).name, row.base is not None, row.name))
    return [_row(each) for each in ordered]


@require_safe
@page
def new(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    return _render(request, principal, RegisteredModel(), is_new=True)


@require_safe
@page
def model(request: HttpRequest, principal: Principal, name: str) -> HttpResponse:
    require_admin(principal)
    return _render(request, principal, _find(name))


@require_POST
@page
def test(request: HttpRequest, principal: Principal, name: str) -> HttpResponse:
    """Ask the model's server, and show what it can do. The result is never an error."""
    require_admin(principal)
    row = _find(name)
    if row.type != ModelType.CHAT:
        raise NotFound
    try:
        found = model_test(row=row, actor=principal.actor)
    except Conflict as error:
        found = ConnectionResult(problem=localize(error.message))
    return _render(request, principal, _find(name), found=found)


def _render(
    request: HttpRequest,
    principal: Principal,
    row: RegisteredModel,
    *,
    is_new: bool = False,
    found: ConnectionResult | None = None,
) -> HttpResponse:
    context: dict[str, Any] = {
        "tab": "models",
        "row": row,
        "is_new": is_new,
        "shown": None if is_new else _row(row),
        "types": TYPES,
        "locations": LOCATIONS,
        "licences": LICENCES.values(),
        "bases": _list_bases(row),
        "owners": User.objects.filter(is_active=True, is_admin=True).order_by("username"),
        "replaces": None if is_new else active_name(row),
        "found": found,
        "variable": chat_model_variable(),
        "objection": "" if is_new or row.type != ModelType.CHAT else localize(find_objection(row)),
        "uncompared": "" if is_new or row.type != ModelType.CHAT else find_uncompared(row),
        "shadow": None if is_new or not _has_shadow_runs(row) else summarize_shadow_runs(row),
        "can_test": row.type == ModelType.CHAT and not is_new,
        **({} if is_new else _describe_ab_test(row)),
    }
    return show(request, principal, "pages/console/registered_model.html", context, area="console")


def _describe_ab_test(row: RegisteredModel) -> dict[str, Any]:
    """Return the latest A/B test of the model and its results, and whether another may be started."""
    test = row.ab_tests.first()
    results = load_results(test) if test else None
    running = find_running_test()
    can_start = running is None and not find_ab_test_objection(row)
    return {
        "ab_test": test,
        "ab_test_results": results,
        "ab_test_rows": _list_ab_test_rows(results) if results else [],
        "ab_test_state": AB_TEST_STATES[ABTestState(test.state)] if test else "",
        "can_start_ab_test": can_start,
        "ab_test_limits": {"percent": MAX_PERCENT, "least": MIN_ANSWERS, "most": MAX_ANSWERS},
        "max_looks": LOOKS,
    }


def _list_ab_test_rows(results: ABTestResults) -> list[tuple[str | Promise, str, str]]:
    """Return a label and the numbers of the active model and the candidate for each row of the table."""
    counted = [
        (label, number(getattr(results.active, name)), number(getattr(results.candidate, name)))
        for name, label in _AB_TEST_COUNTS
    ]
    active, candidate = (
        "–" if arm.answer_ms is None else f"{number(arm.answer_ms, 0)} ms"
        for arm in (results.active, results.candidate)
    )
    return [*counted, (gettext_lazy("Median time"), active, candidate)]


def _has_shadow_runs(row: RegisteredModel) -> bool:
    return row.shadow_percent > 0 or row.shadow_runs.exists()


def _list_bases(row: RegisteredModel) -> Sequence[str]:
    rows = RegisteredModel.objects.filter(base=None).exclude(pk=row.pk)
    return list(rows.order_by("name").values_list("name", flat=True))


def _row(row: RegisteredModel) -> ModelRow:
    ended = has_ended(row.licence_ends, timezone.localdate())
    licence = LICENCES.get(row.licence) or LICENCES["other"]
    return ModelRow(row, STATUSES[ModelStatus(row.status)], licence, row.base_id is not None, ended)


def _find(name: str) -> RegisteredModel:
    row = RegisteredModel.objects.select_related("base", "owner").filter(name=name).first()
    if row is None:
        raise NotFound
    return row
