"""A/B tests of registered models, for admins."""
# ruff: noqa: ARG001 (the framework passes the request by name)

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import BaseModel, Field

from cairn.errors import Conflict, NotFound
from cairn.messages import gettext_noop
from cairn.settings.stored.models import RegisteredModel
from retrieval.conversations.ab_tests.results import load_results
from retrieval.conversations.ab_tests.sequential_test import LOOKS
from retrieval.conversations.ab_tests.services import MAX_ANSWERS, MAX_PERCENT, MIN_ANSWERS, ab_test_stop
from retrieval.models import ABTest as ABTestRow
from retrieval.models import ABTestState
from web.api.framework.fields import Body, Count
from web.configuration.registered_models import ab_test_begin
from web.http.authentication import needs, principal_of

router = Router(tags=["Models"], auth=needs(admin=True))


class NewABTest(Body):
    """`version`: the model's version that was read; if it has changed, the answer is 409. `percent`: the
    share of people whom the candidate answers. `max_answers`: of both models together; then the test ends."""

    version: Annotated[Count, Field(ge=0)]
    percent: Annotated[Count, Field(ge=1, le=MAX_PERCENT)]
    max_answers: Annotated[Count, Field(ge=MIN_ANSWERS, le=MAX_ANSWERS)]


class ABTestArm(BaseModel):
    """Answers of one of the models to so many `people`. `good`: supported, and not rated as unhelpful.
    `failed`: the model was unavailable. `helpful` and `unhelpful`: ratings. `answer_ms`: their median time;
    null without answers."""

    people: int
    answers: int
    good: int
    supported: int
    partial: int
    refused: int
    failed: int
    helpful: int
    unhelpful: int
    answer_ms: float | None


class ABTest(BaseModel):
    """`state`: `running`, or why the test has ended: the candidate is significantly `better` or `worse`, no
    difference is significant (`equal`), the candidate was unavailable several times in a row (`failing`), one
    of the models has been `changed`, or an admin has `stopped` it. `looks`: how many of the `max_looks`
    interim analyses are done. `p_value`: of the last one; null unless it has ended the test."""

    id: UUID
    model: str
    active_model: str
    percent: int
    max_answers: int
    state: ABTestState
    looks: int
    max_looks: int
    active: ABTestArm
    candidate: ABTestArm
    p_value: float | None
    started_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, row: ABTestRow) -> Self:
        found = load_results(row)
        return cls(
            id=row.id,
            model=row.candidate.name,
            active_model=row.active_model,
            percent=row.percent,
            max_answers=row.max_answers,
            state=ABTestState(row.state),
            looks=row.looks,
            max_looks=LOOKS,
            active=ABTestArm(**asdict(found.active)),
            candidate=ABTestArm(**asdict(found.candidate)),
            p_value=found.p_value,
            started_at=row.created_at,
            ended_at=row.ended_at,
        )


@router.get("/{name}/ab-test", summary="Get a model's latest A/B test", response=ABTest)
def ab_test_get(request: HttpRequest, name: str) -> ABTest:
    """Returns the latest A/B test of a candidate with its results so far."""
    return ABTest.of(_find_latest(name))


@router.post("/{name}/ab-test", summary="Start an A/B test", response={201: ABTest})
def ab_test_add(request: HttpRequest, name: str, payload: NewABTest) -> Status[ABTest]:
    """Lets a candidate inside the organisation answer a share of the people, each of them in the whole test,
    until one of its stopping rules ends it. It never activates the candidate. 409 if another test is running,
    or if the candidate couldn't be activated either."""
    row = RegisteredModel.objects.filter(name=name).first()
    if row is None:
        raise NotFound
    test = ab_test_begin(
        row=row,
        percent=payload.percent,
        max_answers=payload.max_answers,
        version=payload.version,
        actor=principal_of(request).actor,
    )
    return Status(201, ABTest.of(test))


@router.post("/{name}/ab-test/stop", summary="Stop an A/B test", response=ABTest)
def ab_test_end(request: HttpRequest, name: str) -> ABTest:
    """Ends the running A/B test of a candidate. The active model answers everyone again. 409 if it has
    ended."""
    test = _find_latest(name)
    if not ab_test_stop(test=test, state=ABTestState.STOPPED, actor=principal_of(request).actor):
        raise Conflict(gettext_noop("This A/B test has ended already."))
    return ABTest.of(_find_latest(name))


def _find_latest(name: str) -> ABTestRow:
    test = ABTestRow.objects.filter(candidate__name=name).select_related("candidate").first()
    if test is None:
        raise NotFound
    return test
