"""Comparisons of two language models over gold questions, for admins."""
# ruff: noqa: ARG001 (the framework passes the request by name)

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import BaseModel, Field, StringConstraints, ValidationError, model_validator

from cairn.access.models import Role
from cairn.access.selectors import get_or_not_found, knowledge_base_for
from retrieval.evaluation.gold_file import GoldQuestion, Kind
from retrieval.evaluation.model_comparisons.answers import ComparedResult, summarize
from retrieval.evaluation.models import ModelComparison as ComparisonRow
from retrieval.evaluation.models import TrialState
from web.api.framework.fields import Body, Id
from web.api.framework.pagination import Page, PageQuery, page_of
from web.http.authentication import needs, principal_of
from web.model_tests.comparison import comparison_begin, comparison_cancel

MAX_QUESTIONS = 1000
router = Router(tags=["Models"], auth=needs(admin=True))
_ModelName = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
_Text = Annotated[str, StringConstraints(min_length=1, max_length=8000)]


class ComparisonQuestion(Body):
    """A gold question. `relevant`: documents that answer it; none if no document does."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    question: _Text
    kind: Kind = Kind.PARAPHRASE
    history: Annotated[list[_Text], Field(max_length=20)] = []
    relevant: Annotated[list[_Text], Field(max_length=200)] = []
    must_contain: Annotated[list[_Text], Field(max_length=50)] = []

    @model_validator(mode="after")
    def _require_consistent(self) -> "ComparisonQuestion":
        self.to_gold()
        return self

    def to_gold(self) -> GoldQuestion:
        """Return the gold question. Raises ValueError with the reason if its fields contradict each other."""
        try:
            return GoldQuestion.model_validate(self.model_dump())
        except ValidationError as error:
            raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error


class NewModelComparison(Body):
    """`first` and `second`: names of models. `questions`: null for the knowledge base's own."""

    first: _ModelName
    second: _ModelName
    knowledge_base: Id
    questions: Annotated[list[ComparisonQuestion], Field(max_length=MAX_QUESTIONS)] | None = None


class ResultCount(BaseModel):
    """`low` and `high` bound the share with 95 % confidence (Clopper and Pearson)."""

    questions: int
    share: float
    low: float
    high: float


class ComparedModel(BaseModel):
    """`server`: empty for a model in the process. `answer_ms`: median time until the whole answer."""

    name: str
    server: str
    model: str
    results: dict[ComparedResult, ResultCount]
    answer_ms: float | None


class PairedTest(BaseModel):
    """Exact McNemar test of the second model against the first, over the questions that only one of them
    answered rightly. `difference`: of the shares that are right, with its 95 % interval."""

    questions: int
    better: int
    worse: int
    difference: float
    low: float
    high: float
    p_value: float
    is_significant: bool
    is_worse: bool


class ModelComparison(BaseModel):
    id: str
    knowledge_base: str
    state: TrialState
    first: ComparedModel
    second: ComparedModel
    total: int = Field(description="Questions to ask")
    asked: int
    test: PairedTest | None = Field(description="Null before the first question")
    error: str
    requested_by: str | None
    created_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, row: ComparisonRow) -> "ModelComparison":
        return cls(**_fields(row))


class ComparedQuestion(BaseModel):
    """Results of a question: right, unanswered or wrong."""

    id: str
    kind: Kind
    question: str
    first: ComparedResult
    second: ComparedResult


class ModelComparisonWithResults(ModelComparison):
    results: list[ComparedQuestion]


def _fields(row: ComparisonRow) -> dict[str, object]:
    summary = summarize(row.results)
    test = summary.test
    return {
        "id": str(row.id),
        "knowledge_base": str(row.knowledge_base_id),
        "state": row.state,
        **{
            name: {
                "name": getattr(row, name),
                "server": getattr(row, f"{name}_server"),
                "model": getattr(row, f"{name}_model"),
                **asdict(model),
            }
            for name, model in summary.models.items()
        },
        "total": len(row.gold),
        "asked": summary.questions,
        "test": test and {**asdict(test), "is_significant": test.is_significant, "is_worse": test.is_worse},
        "error": row.error,
        "requested_by": str(row.requested_by_id) if row.requested_by_id else None,
        "created_at": row.created_at,
        "ended_at": row.ended_at,
    }


@router.get("", summary="List model comparisons", response=Page[ModelComparison])
def model_comparison_list(request: HttpRequest, page: Query[PageQuery]) -> Page[ModelComparison]:
    """Returns the last hundred comparisons, newest first, without the results of each question."""
    found = page_of(ComparisonRow.objects.all(), page, newest_first=True)
    return Page(items=[ModelComparison.of(row) for row in found.rows], next_cursor=found.next_cursor)


@router.post("", summary="Compare two models", response={202: ModelComparison})
def model_comparison_add(request: HttpRequest, payload: NewModelComparison) -> Status[ModelComparison]:
    """Asks two models the same questions, and counts which are right, unanswered and wrong. 409 while another
    comparison is in progress."""
    principal = principal_of(request)
    given = [each.to_gold() for each in payload.questions or ()]
    row = comparison_begin(
        principal=principal,
        first=payload.first,
        second=payload.second,
        knowledge_base=knowledge_base_for(principal, payload.knowledge_base, role=Role.MANAGER),
        questions=given,
    )
    return Status(202, ModelComparison.of(row))


@router.get("/{comparison_id}", summary="Get a model comparison", response=ModelComparisonWithResults)
def model_comparison_get(request: HttpRequest, comparison_id: str) -> ModelComparisonWithResults:
    """Returns a comparison with the result of each question so far, without answers."""
    row = get_or_not_found(ComparisonRow.objects.all(), comparison_id)
    results = [
        ComparedQuestion(
            id=each["id"],
            kind=each["kind"],
            question=each["question"],
            first=each["first"]["result"],
            second=each["second"]["result"],
        )
        for each in row.results
    ]
    return ModelComparisonWithResults(**_fields(row), results=results)


@router.post("/{comparison_id}/cancel", summary="Cancel a model comparison", response=ModelComparison)
def model_comparison_cancel(request: HttpRequest, comparison_id: str) -> ModelComparison:
    """Ends a comparison, so that another one can start. The model stops in the middle of a question. 409 if
    the comparison has ended."""
    row = get_or_not_found(ComparisonRow.objects.all(), comparison_id)
    comparison_cancel(row=row, actor=principal_of(request).actor)
    return ModelComparison.of(row)
