"""The registry of models, for admins."""
# ruff: noqa: ARG001 (the framework passes the request by name)

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Status
from pydantic import BaseModel, Field, StringConstraints

from cairn.answers import Verdict
from cairn.errors import InvalidInput, NotFound
from cairn.messages import gettext_noop
from cairn.settings.stored.licences import LICENCES, has_ended
from cairn.settings.stored.models import (
    ModelBackend,
    ModelLocation,
    ModelStatus,
    ModelType,
    RegisteredModel,
)
from cairn.settings.stored.sections import Line
from cairn.settings.stored.store import chat_model_variable
from retrieval.evaluation.shadow_runs import summarize_shadow_runs
from retrieval.evaluation.significance import PairedTest
from web.api.framework.fields import Body, Count, Patch, Reason
from web.api.framework.pagination import Page, PageQuery, numbered_page
from web.api.row_schema import RowSchema
from web.configuration.registered_models import (
    ModelFields,
    Price,
    active_name,
    model_activate,
    model_change,
    model_register,
    model_retire,
    model_test,
)
from web.http.authentication import needs, principal_of

router = Router(tags=["Models"], auth=needs(admin=True))

ModelName = Annotated[
    str, StringConstraints(min_length=1, max_length=60, pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$")
]
Version = Annotated[Count, Field(ge=0)]


class NewModel(Body, ModelFields):
    name: ModelName


class ModelPatch(Patch):
    """`version`: the one that was read; if it has changed, the answer is 409. `api_key`: null removes it."""

    erasable: ClassVar[frozenset[str]] = frozenset(
        {"api_key", "licence_ends", "price_in", "price_out", "owner", "base"}
    )

    version: Version
    type: ModelType | None = None
    backend: ModelBackend | None = None
    base_url: Annotated[str, Line, Field(max_length=500)] | None = None
    model: Annotated[str, Line, Field(max_length=200)] | None = None
    api_key: Annotated[str, Line, Field(max_length=1000)] | None = None
    location: ModelLocation | None = None
    licence: str | None = None
    licence_ends: date | None = None
    price_in: Price | None = None
    price_out: Price | None = None
    owner: UUID | None = None
    base: str | None = None
    shadow_percent: Annotated[Count, Field(ge=0, le=100)] | None = None


class ModelVersion(Body):
    """`version`: the one that was read; if it has changed, the answer is 409."""

    version: Version


class Retirement(ModelVersion):
    """`override_reason`: why the model is retired although one that is significantly worse could follow."""

    override_reason: Reason = ""


class Activation(ModelVersion):
    """`replaces`: the name of the model that was active, null for none; if another one is active by now, the
    answer is 409. If absent, the one that is active is replaced. `override_reason`: why the model is
    activated although it is significantly worse."""

    replaces: str | None = None
    override_reason: Reason = ""


class ModelLicence(BaseModel):
    """`terms`: in short. `ended`: the licence has expired, so the model can't be activated."""

    key: str
    name: str
    url: str
    terms: list[str]
    last_day: date | None
    ended: bool

    @classmethod
    def of(cls, row: RegisteredModel) -> Self:
        found = LICENCES.get(row.licence) or LICENCES["other"]
        return cls(
            key=row.licence,
            name=found.name,
            url=found.url,
            terms=list(found.terms),
            last_day=row.licence_ends,
            ended=has_ended(row.licence_ends, timezone.localdate()),
        )


class MeasuredModel(BaseModel):
    """What a test of the connection found. null: the server doesn't report it. `turns`: whether the chat
    template accepts a conversation. `milliseconds`: until the first token."""

    at: datetime
    context_tokens: int | None = None
    system_role: bool | None = None
    turns: bool | None = None
    milliseconds: int | None = None


class Model(RowSchema):
    """`in_use`: whether answers come from it. An active model is not in use if an environment variable sets
    the language model: `set_by_environment` names it. `base`: of an adapter. `api_key_set`: a key is stored,
    which is never returned. `shadow_percent`: the share of questions that it answers in shadow runs while it
    is a candidate."""

    name: str
    version: int
    type: ModelType
    backend: ModelBackend
    base_url: str
    model: str
    api_key_set: bool
    location: ModelLocation
    licence: ModelLicence
    price_in: Decimal | None
    price_out: Decimal | None
    owner: UUID | None
    base: str | None
    status: ModelStatus
    shadow_percent: int
    measured: MeasuredModel | None
    set_by_environment: str
    changed_at: datetime

    @classmethod
    def of(cls, row: RegisteredModel) -> Self:
        measured = MeasuredModel(at=row.measured_at, **row.measured) if row.measured_at else None
        return cls.read(
            row,
            type=ModelType(row.type),
            backend=ModelBackend(row.backend),
            api_key_set=bool(row.api_key),
            location=ModelLocation(row.location),
            licence=ModelLicence.of(row),
            owner=row.owner_id,
            base=row.base.name if row.base else None,
            status=ModelStatus(row.status),
            measured=measured,
            set_by_environment=chat_model_variable() if row.type == ModelType.CHAT else "",
        )


class ModelTest(BaseModel):
    """`problem` is empty if the server works. `remarks`: hints even if it works."""

    problem: str
    milliseconds: int
    remarks: list[str]
    model: Model


class ShadowVerdicts(BaseModel):
    """Numbers of questions by the verdict of their answers."""

    supported: int
    partial: int
    refused: int

    @classmethod
    def of(cls, counts: Mapping[Verdict, int]) -> Self:
        return cls(
            supported=counts[Verdict.SUPPORTED],
            partial=counts[Verdict.PARTIAL],
            refused=counts[Verdict.REFUSED],
        )


class ShadowDifference(BaseModel):
    """Questions that only one of the models answers, and an exact McNemar test on them. `significant`: a
    difference like this would be chance in fewer than 5 % of cases."""

    only_active: int
    only_candidate: int
    p_value: float
    significant: bool


class ShadowRuns(BaseModel):
    """What a candidate did beside the model that answers now. `difference` and `answer_ms`, the median time
    of the candidate's answers, are null without questions. `same_sources`: of the `both_cite` questions for
    which both models cite documents, those with a document in common. `failed`: questions that the candidate
    couldn't answer because of an error; they aren't among `questions`."""

    percent: int
    questions: int
    active: ShadowVerdicts
    candidate: ShadowVerdicts
    difference: ShadowDifference | None
    both_cite: int
    same_sources: int
    answer_ms: float | None
    failed: int

    @classmethod
    def of(cls, row: RegisteredModel) -> Self:
        found = summarize_shadow_runs(row)
        return cls(
            percent=row.shadow_percent,
            questions=found.questions,
            active=ShadowVerdicts.of(found.active),
            candidate=ShadowVerdicts.of(found.candidate),
            difference=_describe_difference(found.test),
            both_cite=found.both_cite,
            same_sources=found.same_sources,
            answer_ms=found.answer_ms,
            failed=found.failed,
        )


def _describe_difference(test: PairedTest | None) -> ShadowDifference | None:
    if test is None:
        return None
    return ShadowDifference(
        only_active=test.worse,
        only_candidate=test.better,
        p_value=test.p_value,
        significant=test.is_significant,
    )


class ModelQuery(PageQuery):
    status: ModelStatus | None = None
    type: ModelType | None = None


@router.get("", summary="List models", response=Page[Model])
def model_list(request: HttpRequest, page: Query[ModelQuery]) -> Page[Model]:
    """Lists the registered models."""
    chosen = {name: value for name in ("status", "type") if (value := getattr(page, name)) is not None}
    rows = RegisteredModel.objects.filter(**chosen).select_related("base")
    found = numbered_page(rows, page, by="id")
    return Page(items=[Model.of(row) for row in found.rows], next_cursor=found.next_cursor)


@router.post("", summary="Register a model", response={201: Model})
def model_add(request: HttpRequest, payload: NewModel) -> Status[Model]:
    """Adds a model as a candidate. It answers nothing before it has been tested and activated."""
    fields = ModelFields.model_validate(payload.model_dump(exclude={"name"}))
    model_register(name=payload.name, fields=fields, actor=principal_of(request).actor)
    return Status(201, Model.of(_find(payload.name)))


@router.get("/{name}", summary="Get a model", response=Model)
def model_get(request: HttpRequest, name: str) -> Model:
    """Returns a registered model by its name."""
    return Model.of(_find(name))


@router.patch("/{name}", summary="Change a model", response=Model)
def model_patch(request: HttpRequest, name: str, payload: ModelPatch) -> Model:
    """Changes a model. With a new server it has to be tested again, and its key entered again. An active
    model keeps its server, type and location: 409."""
    changes: dict[str, Any] = {name: value for name, value in payload.sent.items() if name != "version"}
    model_change(row=_find(name), changes=changes, version=payload.version, actor=principal_of(request).actor)
    return Model.of(_find(name))


@router.post("/{name}/test", summary="Test a model", response=ModelTest)
def model_check(request: HttpRequest, name: str) -> ModelTest:
    """Requests a few tokens from its server and stores what it can do: its context, system role, turns and
    speed. Sends nothing from any document."""
    row = _find(name)
    if row.type != ModelType.CHAT:
        raise InvalidInput(gettext_noop("Only chat models can be tested here."))
    found = model_test(row=row, actor=principal_of(request).actor)
    return ModelTest(
        problem=found.problem,
        milliseconds=found.milliseconds,
        remarks=list(found.remarks),
        model=Model.of(row),
    )


@router.get("/{name}/shadow-runs", summary="Get the results of shadow runs", response=ShadowRuns)
def model_shadow_runs(request: HttpRequest, name: str) -> ShadowRuns:
    """Returns how a candidate would have answered a share of the questions that people asked in the chat,
    beside the answers that they got. Nobody sees its answers, and their words aren't stored."""
    return ShadowRuns.of(_find(name))


@router.post("/{name}/activate", summary="Activate a model", response=Model)
def model_start(request: HttpRequest, name: str, payload: Activation) -> Model:
    """Makes a tested chat model the active one of its location, starting with the next question. The one
    before it is retired. 409 if its licence has expired, it hasn't been tested, or someone else was faster;
    with the code `model_worse` if a current comparison shows it to be significantly worse: then send
    `override_reason`.
    """
    row = _find(name)
    replaces = payload.replaces if "replaces" in payload.model_fields_set else active_name(row)
    active = model_activate(
        row=row,
        replaces=replaces,
        version=payload.version,
        actor=principal_of(request).actor,
        override_reason=payload.override_reason,
    )
    return Model.of(active)


@router.post("/{name}/retire", summary="Retire a model", response=Model)
def model_stop(request: HttpRequest, name: str, payload: Retirement) -> Model:
    """Stops using a model. It stays in the list. 409 with the code `model_worse` if a comparison shows
    another model to be significantly worse than this active one; then send `override_reason`."""
    row = model_retire(
        row=_find(name),
        version=payload.version,
        actor=principal_of(request).actor,
        override_reason=payload.override_reason,
    )
    return Model.of(row)


def _find(name: str) -> RegisteredModel:
    row = RegisteredModel.objects.select_related("base").filter(name=name).first()
    if row is None:
        raise NotFound
    return row
