"""Evaluation runs by `manage.py evaluate` or other clients that ask gold questions."""

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import BaseModel, Field, StringConstraints

from cairn.access.models import Role
from cairn.access.selectors import knowledge_base_for
from retrieval.evaluation.models import EvaluationRun
from retrieval.evaluation.question_results import AllAsked, Asked, Grouped, Values
from retrieval.evaluation.runs import load_outcomes, run_delete, run_for, run_store, runs_for
from web.api.conversations.conversations import Deleted
from web.api.framework.fields import Body, Id, Name, parse_knowledge_base_or_no_match
from web.api.framework.pagination import Page, PageQuery, page_of
from web.http.authentication import needs, principal_of

router = Router(tags=["Evaluation"], auth=needs("manage"))


class GoldSet(Body):
    """`sha256` identifies the questions, to compare runs."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class NewEvaluation(Body):
    """An evaluation in the format of `manage.py evaluate --json`."""

    knowledge_base: Id
    name: Name
    gold: GoldSet
    measures: Values
    by_kind: Grouped = {}
    rankings: Grouped = {}
    outcomes: AllAsked


class Evaluation(BaseModel):
    """`right` of the `questions` were answered, or refused, as expected. `settings`: those when it was
    stored.
    """

    id: str
    knowledge_base: str
    name: str
    gold: GoldSet
    settings: dict[str, Any]
    questions: int
    right: int
    measures: Values
    by_kind: Grouped
    rankings: Grouped
    created_by: str | None = Field(description="User who started the run")
    created_at: datetime

    @classmethod
    def of(cls, row: EvaluationRun) -> "Evaluation":
        return cls(**_fields(row))


class EvaluationWithOutcomes(Evaluation):
    outcomes: list[Asked]


def _fields(row: EvaluationRun) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "knowledge_base": str(row.knowledge_base_id),
        "name": row.name,
        "gold": GoldSet(name=row.gold_name, sha256=row.gold_sha256),
        "settings": row.settings,
        "questions": row.questions,
        "right": row.right,
        "measures": row.measures,
        "by_kind": row.by_kind,
        "rankings": row.rankings,
        "created_by": row.created_by.username if row.created_by else None,
        "created_at": row.created_at,
    }


class EvaluationQuery(PageQuery):
    knowledge_base: Id | None = None


@router.get("", summary="List evaluations", response=Page[Evaluation])
def evaluation_list(request: HttpRequest, page: Query[EvaluationQuery]) -> Page[Evaluation]:
    """Lists evaluations of knowledge bases you manage, the latest first, without outcomes of questions."""
    principal = principal_of(request)
    rows = runs_for(principal).defer("outcomes")
    if page.knowledge_base is not None:
        rows = rows.filter(knowledge_base=parse_knowledge_base_or_no_match(principal, page.knowledge_base))
    found = page_of(rows, page, newest_first=True)
    return Page(items=[Evaluation.of(row) for row in found.rows], next_cursor=found.next_cursor)


@router.post("", summary="Start an evaluation", response={201: Evaluation})
def evaluation_add(request: HttpRequest, payload: NewEvaluation) -> Status[Evaluation]:
    """Requires the role manager in the evaluated knowledge base."""
    principal = principal_of(request)
    base = knowledge_base_for(principal, payload.knowledge_base, role=Role.MANAGER)
    row = run_store(
        principal=principal,
        knowledge_base=base,
        name=payload.name,
        gold_name=payload.gold.name,
        gold_sha256=payload.gold.sha256,
        measures=payload.measures,
        by_kind=payload.by_kind,
        rankings=payload.rankings,
        outcomes=payload.outcomes,
    )
    return Status(201, Evaluation.of(run_for(principal, row.pk)))


@router.get("/{evaluation_id}", summary="Get an evaluation", response=EvaluationWithOutcomes)
def evaluation_get(request: HttpRequest, evaluation_id: str) -> EvaluationWithOutcomes:
    """Returns an evaluation with the outcome of each question."""
    row = run_for(principal_of(request), evaluation_id)
    return EvaluationWithOutcomes(**_fields(row), outcomes=load_outcomes(row))


@router.delete("/{evaluation_id}", summary="Delete an evaluation", response=Deleted, exclude_none=True)
def evaluation_remove(request: HttpRequest, evaluation_id: str) -> Deleted:
    """Deletes an evaluation and its outcomes. Requires the role manager."""
    row = run_for(principal_of(request), evaluation_id)
    shape = Deleted(id=str(row.id))
    run_delete(run=row, actor=principal_of(request).actor)
    return shape
