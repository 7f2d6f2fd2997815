"""Generations of the vector index: build, compare and swap, for admins."""

import base64
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import numpy as np
from django.db.models.functions import Now
from django.http import HttpRequest
from ninja import Body as JsonBody
from ninja import Router, Status
from pydantic import BaseModel, Field, StringConstraints

from cairn.access.selectors import knowledge_base_for, scope_for
from cairn.audit.services import record
from cairn.errors import NotFound
from ingestion.reindexing.compare import generation_compare
from ingestion.reindexing.diff import progress
from ingestion.reindexing.services import (
    generation_build,
    generation_remove,
    generation_rollback,
    generation_swap,
)
from retrieval.answering.answerability.calibration import Calibration, calibration_for
from retrieval.calibration_store import calibration_forget, calibration_of, calibration_set
from retrieval.conversations.answer_models import answer_reranker_name
from retrieval.evaluation.gold_file import GoldQuestion
from retrieval.index.generations import active_generation, choice_of, open_indexes, unlike_configured
from retrieval.models import GenerationState, IndexGeneration
from web.api.framework.fields import Body, Flag, Id
from web.api.row_schema import RowSchema
from web.http.authentication import needs, principal_of

router = Router(tags=["Index"])
ADMINS = needs(admin=True)
Model = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class Build(Body):
    embedding_model: Model | None = Field(
        None, description="Name or path as in EMBEDDING_MODEL; the active index's model if omitted"
    )


class Swap(Body):
    force: Flag = Field(False, description="Activate even if the last comparison found it clearly worse")


class Nothing(Body):
    pass


class Gold(Body):
    knowledge_base: Id
    questions: Annotated[list[GoldQuestion], Field(min_length=1, max_length=2000)]


class Which(Body):
    generation: UUID
    chunks: Annotated[list[UUID], Field(min_length=1, max_length=1000)]


class Numbers(BaseModel):
    """`vectors`: little-endian 32-bit floats in base64, `dimension` of them for each of `chunks`."""

    dimension: int
    chunks: list[str]
    vectors: str


class Comparison(BaseModel):
    """`worse` names the measures that are clearly lower after than before."""

    questions: int
    before: dict[str, float | None]
    after: dict[str, float | None]
    worse: list[str]


class Generation(RowSchema):
    """`done` of `total` chunks are indexed. `working`: a process is on it; `paused`: it waits for questions
    and uploads. `swap_requested`: it becomes active once it has caught up.
    """

    id: str
    name: str
    state: GenerationState
    embedding_model: str
    model_id: str
    dimension: int
    done: int
    total: int
    working: bool
    paused: bool
    optimised: bool
    swap_requested: bool
    error: str
    comparison: Comparison | None
    created_at: datetime
    activated_at: datetime | None

    @classmethod
    def of(cls, row: IndexGeneration) -> "Generation":
        done, total = progress(row)
        return cls.read(
            row,
            id=str(row.id),
            state=GenerationState(row.state),
            embedding_model=choice_of(row).model,
            model_id=row.embedding_model,
            done=done,
            total=total,
            working=IndexGeneration.objects.filter(pk=row.pk, lease_until__gte=Now()).exists(),
            comparison=Comparison.model_validate(row.comparison) if row.comparison else None,
        )


class Index(BaseModel):
    """`note` is set if the settings name another embedding model than the active one."""

    active: str
    note: str
    generations: list[Generation]


@router.get("", summary="List the index generations", response=Index, auth=ADMINS)
def index_show(request: HttpRequest) -> Index:  # noqa: ARG001
    """Returns the generations of the vector index, with the progress of a build."""
    answering = active_generation()
    rows = IndexGeneration.objects.all()
    return Index(
        active=str(answering.id),
        note=unlike_configured(answering),
        generations=[Generation.of(row) for row in rows],
    )


@router.post("/generations", summary="Build an index generation", response={202: Generation}, auth=ADMINS)
def build(request: HttpRequest, payload: Build) -> Status[Generation]:
    """Starts building a generation, or resumes the existing build. 409 if that has another model."""
    row = generation_build(principal=principal_of(request), model=payload.embedding_model)
    return Status(202, Generation.of(row))


@router.delete(
    "/generations/{generation_id}",
    summary="Discard an index generation",
    response={202: Generation},
    auth=ADMINS,
)
def cancel(request: HttpRequest, generation_id: str) -> Status[Generation]:
    """Cancels a build and removes the generation's files. 409 for the active one."""
    row = generation_remove(generation=generation_id, principal=principal_of(request))
    return Status(202, Generation.of(row))


@router.post("/vectors", summary="Get embeddings of chunks", response=Numbers, auth=ADMINS)
def vectors(request: HttpRequest, payload: Which) -> Numbers:  # noqa: ARG001
    """Returns the embeddings of chunks in the active generation, for backups; 404 if another one is
    active.
    """
    answering = active_generation()
    if answering.id != payload.generation:
        raise NotFound
    found = open_indexes.of(answering).vectors(payload.chunks)
    numbers = b"".join(np.ascontiguousarray(vector, "<f4").tobytes() for vector in found.values())
    return Numbers(
        dimension=answering.dimension,
        chunks=[str(chunk) for chunk in found],
        vectors=base64.b64encode(numbers).decode("ascii"),
    )


@router.post("/compare", summary="Compare two index generations", response=Comparison, auth=ADMINS)
def compare(request: HttpRequest, payload: Gold) -> Comparison:
    """Compares the ready generation with the active one. 409 if none is ready."""
    principal = principal_of(request)
    base = knowledge_base_for(principal, payload.knowledge_base)
    found: dict[str, Any] = generation_compare(
        questions=payload.questions, scope=scope_for(principal, [base.id])
    )
    return Comparison.model_validate(found)


class Weights(Calibration):
    """`own`: fitted on this installation, rather than the default."""

    own: bool = False


@router.get("/calibration", summary="Get the refusal weights", response=Weights, auth=ADMINS)
def calibration_show(request: HttpRequest) -> Weights:  # noqa: ARG001
    """Returns the answerability weights for the active embedding model."""
    own = calibration_of(active_generation())
    found = own or calibration_for(active_generation().embedding_model, reranker=answer_reranker_name())
    return Weights(**found.model_dump(), own=own is not None)


@router.put("/calibration", summary="Set the refusal weights", response=Weights, auth=ADMINS)
def calibration_put(request: HttpRequest, payload: Calibration) -> Weights:
    """Sets the weights, starting with the next question."""
    calibration_set(payload)
    record("index.calibrate", actor=principal_of(request).actor, subject="index")
    return calibration_show(request)


@router.delete("/calibration", summary="Reset the refusal weights", response=Weights, auth=ADMINS)
def calibration_delete(request: HttpRequest) -> Weights:
    """Restores the default weights."""
    calibration_forget()
    record("index.calibrate", actor=principal_of(request).actor, subject="index")
    return calibration_show(request)


@router.post("/swap", summary="Activate the new index", response={202: Generation}, auth=ADMINS)
def swap(request: HttpRequest, payload: Swap) -> Status[Generation]:
    """Activates the ready generation once it has caught up. 409 if none is ready, or if it was found clearly
    worse and `force` is not set.
    """
    return Status(202, Generation.of(generation_swap(principal=principal_of(request), force=payload.force)))


@router.post("/rollback", summary="Return to the previous index", response={202: Generation}, auth=ADMINS)
def rollback(
    request: HttpRequest,
    payload: JsonBody[Nothing | None] = None,  # noqa: ARG001
) -> Status[Generation]:
    """Activates the previous generation once it has caught up."""
    return Status(202, Generation.of(generation_rollback(principal=principal_of(request))))
