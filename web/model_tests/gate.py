"""The gate: a model that a comparison has shown to be significantly worse isn't activated by accident."""

from collections.abc import Iterator
from typing import Any, Final

from django.db.models import Q

from cairn.errors import Conflict
from cairn.messages import CodedMessage
from retrieval.evaluation.candidates import ModelPlace, find_name
from retrieval.evaluation.model_answers import ComparisonSummary, summarize
from retrieval.evaluation.models import ModelComparison, TrialState

WORSE_CODE: Final = "model_worse"


def find_latest_comparison(one: ModelPlace, other: ModelPlace) -> ModelComparison | None:
    """Return the latest completed comparison of two models on these servers, whichever came first."""
    done = ModelComparison.objects.filter(state=TrialState.DONE)
    return done.filter(_match(one, other) | _match(other, one)).first()


def _match(first: ModelPlace, second: ModelPlace) -> Q:
    return Q(
        first_server=first.server,
        first_model=first.name,
        second_server=second.server,
        second_model=second.name,
    )


def is_worse(candidate: ModelPlace, active: ModelPlace) -> bool:
    """Return whether the latest comparison shows the candidate to be significantly worse."""
    row = find_latest_comparison(candidate, active)
    if row is None or (test := summarize(row.results).test) is None or not test.is_significant:
        return False
    second_is_worse = test.is_worse
    is_second = (row.second_server, row.second_model) == (candidate.server, candidate.name)
    return second_is_worse if is_second else not second_is_worse


def require_not_worse(candidate: ModelPlace, active: ModelPlace, override_reason: str) -> None:
    """Raise Conflict if the candidate is significantly worse than the active model and no reason is given to
    activate it nevertheless."""
    if not override_reason.strip() and is_worse(candidate, active):
        raise Conflict(
            CodedMessage("model_worse", candidate=find_name(candidate), active=find_name(active)),
            code=WORSE_CODE,
        )


def require_may_retire(active: ModelPlace, override_reason: str) -> None:
    """Raise Conflict if a comparison shows another model to be significantly worse than the active one, which
    would be free to follow it, and no reason is given."""
    if override_reason.strip():
        return
    for rival in _rivals(active):
        if is_worse(rival, active):
            raise Conflict(
                CodedMessage("model_retire_worse", candidate=find_name(rival), active=find_name(active)),
                code=WORSE_CODE,
            )


def _rivals(active: ModelPlace) -> Iterator[ModelPlace]:
    """Yield the models that were compared with the active one."""
    done = ModelComparison.objects.filter(state=TrialState.DONE)
    names: tuple[tuple[str, str], ...] = (("first", "second"), ("second", "first"))
    found = dict[ModelPlace, None]()
    for mine, theirs in names:
        own: dict[str, Any] = {f"{mine}_server": active.server, f"{mine}_model": active.name}
        rows = done.filter(**own).values_list(f"{theirs}_server", f"{theirs}_model")
        found |= {ModelPlace(server, name): None for server, name in rows}
    yield from found


def summary_of(row: ModelComparison) -> ComparisonSummary:
    return summarize(row.results)
