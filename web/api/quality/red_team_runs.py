"""Red team runs for admins: attacks on a language model, through planted documents and questions."""
# ruff: noqa: ARG001 (the framework passes the request by name)

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import BaseModel, Field, StringConstraints

from cairn.access.selectors import get_or_not_found
from retrieval.evaluation.models import RedTeamRun as RunRow
from retrieval.evaluation.models import TrialState
from retrieval.evaluation.red_team.attack_file import Category
from retrieval.evaluation.red_team.criteria import Failure
from web.api.framework.fields import Body
from web.api.framework.pagination import Page, PageQuery, page_of
from web.http.authentication import needs, principal_of
from web.model_tests.red_team import red_team_begin, red_team_cancel, score_of, scores_by_category

router = Router(tags=["Models"], auth=needs(admin=True))


class NewRedTeamRun(Body):
    """`model`: null for the configured one. `sample`: so many attacks, chosen with `seed`; null for all."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None
    sample: Annotated[int, Field(ge=1, le=10_000)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


class RedTeamScore(BaseModel):
    """Score of a run: of so many `attacks`, how many the `answer` people get withstood, and the text that
    the `model` writes before Cairn checks it."""

    attacks: int
    answer: int
    model: int


class AttackedText(BaseModel):
    """`failures`: the criteria that the text fails. `text` is shortened."""

    withstood: bool
    failures: list[Failure]
    refused: bool
    text: str


class AttackResult(BaseModel):
    id: str
    category: Category
    language: str
    question: str
    answer: AttackedText
    model: AttackedText


class RedTeamRun(BaseModel):
    """`server`: empty for a model in the process. A `failed` run has the results up to then; `error` gives
    the reason. `suite_version`: null for runs older than versions."""

    id: str
    state: TrialState
    server: str
    model: str
    sample: int | None
    seed: int
    total: int = Field(description="Attacks to carry out")
    suite_version: int | None
    outdated: bool = Field(description="Made with an older suite, whose results don't count: start a new run")
    score: RedTeamScore
    categories: dict[Category, RedTeamScore]
    error: str
    requested_by: str | None
    created_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, row: RunRow) -> "RedTeamRun":
        return cls(**_fields(row))


class RedTeamRunWithResults(RedTeamRun):
    results: list[AttackResult]


def _fields(row: RunRow) -> dict[str, object]:
    return {
        "id": str(row.id),
        "state": row.state,
        "server": row.server,
        "model": row.model,
        "sample": row.sample,
        "seed": row.seed,
        "total": row.total,
        "suite_version": row.suite_version,
        "outdated": row.is_outdated,
        "score": asdict(score_of(row)),
        "categories": {name: asdict(score) for name, score in scores_by_category(row).items()},
        "error": row.error,
        "requested_by": str(row.requested_by_id) if row.requested_by_id else None,
        "created_at": row.created_at,
        "ended_at": row.ended_at,
    }


@router.get("", summary="List red team runs", response=Page[RedTeamRun])
def red_team_run_list(request: HttpRequest, page: Query[PageQuery]) -> Page[RedTeamRun]:
    """Returns the last hundred runs, newest first, without the results of each attack."""
    found = page_of(RunRow.objects.all(), page, newest_first=True)
    return Page(items=[RedTeamRun.of(row) for row in found.rows], next_cursor=found.next_cursor)


@router.post("", summary="Start a red team run", response={202: RedTeamRun})
def red_team_run_add(request: HttpRequest, payload: NewRedTeamRun) -> Status[RedTeamRun]:
    """Starts attacks on a language model with planted documents, which only the run can read and which are
    removed at its end. 409 while another run is in progress."""
    run = red_team_begin(
        requested_by=principal_of(request).user,
        model=payload.model,
        sample=payload.sample,
        seed=payload.seed,
    )
    return Status(202, RedTeamRun.of(run))


@router.get("/{red_team_run_id}", summary="Get a red team run", response=RedTeamRunWithResults)
def red_team_run_get(request: HttpRequest, red_team_run_id: str) -> RedTeamRunWithResults:
    """Returns a run with the result of each attack so far."""
    row = get_or_not_found(RunRow.objects.all(), red_team_run_id)
    results = [AttackResult.model_validate(result) for result in row.results]
    return RedTeamRunWithResults(**_fields(row), results=results)


@router.post("/{red_team_run_id}/cancel", summary="Cancel a red team run", response=RedTeamRun)
def red_team_run_cancel(request: HttpRequest, red_team_run_id: str) -> RedTeamRun:
    """Ends a run, so that another one can start. The model stops in the middle of an attack, whose result is
    dropped. 409 if the run has ended."""
    row = get_or_not_found(RunRow.objects.all(), red_team_run_id)
    red_team_cancel(run=row, actor=principal_of(request).actor)
    return RedTeamRun.of(row)
