"""Register language and other models, test, activate and retire them. Every change is audited.

Of each type, one model inside and one outside can be active. The active outside language model answers;
where a knowledge base or document forbids that, the active inside one does. `model_activate` is the only
function that makes a model active, so whatever must hold for an active model is checked in
`_require_activatable`, which raises Conflict with the reason.
"""

import socket
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from ipaddress import ip_address
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from pydantic import BaseModel, ConfigDict, Field, field_validator

from cairn.accounts.models import User
from cairn.audit.services import record
from cairn.errors import Conflict, InvalidInput
from cairn.http import ssrf_guard
from cairn.inference.model_checks import Report
from cairn.inference.model_identity import ModelPlace, place_of
from cairn.messages import gettext_noop
from cairn.settings import Environment, environment
from cairn.settings.stored.encryption import encrypt
from cairn.settings.stored.licences import LICENCES, has_ended
from cairn.settings.stored.models import (
    ModelBackend,
    ModelLocation,
    ModelStatus,
    ModelType,
    RegisteredModel,
)
from cairn.settings.stored.sections import ENTER_SECRET_AGAIN, Line, require_server_url
from cairn.settings.stored.store import (
    MODEL_KEY_PURPOSE,
    effective_environment,
    forget_snapshot,
    overrides_of_model,
)
from retrieval.conversations.ab_tests.services import ab_test_start, ab_test_stop_if_changed
from retrieval.evaluation.candidates import find_name
from retrieval.evaluation.models import ShadowRun
from retrieval.models import ABTest
from web.configuration.connection_tests import ConnectionResult, measure_language_model
from web.configuration.services import REDACTED
from web.model_tests.gate import (
    describe_override,
    is_uncompared,
    require_ab_testable,
    require_may_retire,
    require_not_worse,
)

CHANGED_MEANWHILE: Final = gettext_noop(
    "Someone else has changed this model. Reload the page to see it, then make your change again."
)
ACTIVATED_MEANWHILE: Final = gettext_noop(
    "Someone else has activated another model. Reload the page, then decide again."
)
_LOGGED: Final = (
    "name", "type", "backend", "base_url", "model", "location", "licence", "licence_ends", "price_in",
    "price_out", "owner_id", "base_id", "shadow_percent", "status",
)  # fmt: skip
Price = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=4)]


class ModelFields(BaseModel):
    """What admins enter about a model. `base`: the name of the model that an adapter belongs to. `api_key` is
    never returned. Raises InvalidInput for an address where no model server can be."""

    model_config = ConfigDict(extra="forbid")

    type: ModelType = ModelType.CHAT
    backend: ModelBackend = ModelBackend.OPENAI
    base_url: Annotated[str, Line, Field(max_length=500)]
    model: Annotated[str, Line, Field(max_length=200)]
    api_key: Annotated[str, Line, Field(max_length=1000)] | None = None
    location: ModelLocation = ModelLocation.INSIDE
    licence: str
    licence_ends: date | None = None
    price_in: Price | None = None
    price_out: Price | None = None
    owner: UUID | None = None
    base: str | None = None
    shadow_percent: Annotated[int, Field(ge=0, le=100)] = 0

    @field_validator("base_url")
    @classmethod
    def _require_model_server(cls, value: str) -> str:
        return require_model_server(value)

    @field_validator("licence")
    @classmethod
    def _require_licence(cls, value: str) -> str:
        if value not in LICENCES:
            raise InvalidInput(gettext_noop("Choose one of the licences in the list."))
        return value


def require_model_server(url: str) -> str:
    """Return the URL of a model server. Raises InvalidInput for others, and for the addresses where cloud
    providers tell machines their credentials, in whatever way they are written."""
    host = urlsplit(require_server_url(url)).hostname or ""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        try:
            address = ip_address(socket.inet_aton(host))  # such as 2852039166 and 0xa9fea9fe
        except (OSError, UnicodeError):
            return url
    if not ssrf_guard.is_of_server(address):
        raise InvalidInput(gettext_noop("No server may be at this address."))
    return url


def model_register(*, name: str, fields: ModelFields, actor: UUID | None) -> RegisteredModel:
    """Add a candidate. Raises Conflict if the name is taken."""
    row = RegisteredModel(name=name, changed_by_id=actor)
    with transaction.atomic():
        _assign(row, fields.model_dump())
        _require_may_shadow(row)
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError as error:
            raise Conflict(gettext_noop("There is already a model with this name.")) from error
        record("model.registered", actor=actor, subject=f"model:{name}", after=_describe(row))
    return row


def model_change(
    *, row: RegisteredModel, changes: Mapping[str, Any], version: int, actor: UUID | None
) -> RegisteredModel:
    """Change fields of `ModelFields`. A new address or model has to be tested again, so an active model keeps
    its server. Raises Conflict if `version` isn't the current one."""
    with transaction.atomic():
        locked = _lock(row, version)
        before = _describe(locked)
        fields = ModelFields.model_validate({**_fields_of(locked), **changes})
        sent = {name: getattr(fields, name) for name in changes}
        server = (locked.base_url, locked.model, locked.backend, locked.type, locked.location)
        key_before = locked.api_key
        if locked.api_key and _origin(fields.base_url) != _origin(locked.base_url) and "api_key" not in sent:
            raise InvalidInput(ENTER_SECRET_AGAIN)
        _assign(locked, sent)
        _require_may_shadow(locked)
        moved = server != (locked.base_url, locked.model, locked.backend, locked.type, locked.location)
        if moved and locked.status == ModelStatus.ACTIVE:
            raise Conflict(gettext_noop("Retire the model before you change its server, type or location."))
        if moved or key_before != locked.api_key:
            locked.measured, locked.measured_at = {}, None
        if moved:  # it may be another model
            ShadowRun.objects.filter(model=locked).delete()
        _save(locked, actor)
        details = _compare(before, _describe(locked))
        if key_before != locked.api_key:
            details = {name: {**values, "api_key": REDACTED} for name, values in details.items()}
        record("model.changed", actor=actor, subject=f"model:{locked.name}", **details)
    return locked


def model_test(*, row: RegisteredModel, actor: UUID | None) -> ConnectionResult:
    """Ask the model's server, and store what it can do. Raises Conflict if the model changes meanwhile."""
    result, report = measure_language_model(environment_of(row), actor=actor, subject=f"model:{row.name}")
    if report is not None and not result.problem:
        measured = _measurements(report)
        # Not a change: an admin who is editing the model may continue.
        rows = RegisteredModel.objects.filter(pk=row.pk, version=row.version)
        if not rows.update(measured=measured, measured_at=timezone.now(), version=row.version + 1):
            raise Conflict(CHANGED_MEANWHILE)
        row.refresh_from_db()
        forget_snapshot()
    return result


def model_activate(
    *,
    row: RegisteredModel,
    replaces: str | None,
    version: int,
    actor: UUID | None,
    override_reason: str = "",
) -> RegisteredModel:
    """Make a model the active one of its type and location; the one before it is retired.

    `replaces`: the name of the model that was active when the admin decided, None for none; `version`: that
    of the row. If either has changed meanwhile, this raises Conflict: of two admins who activate two models
    at once, one wins. Raises Conflict if the model may not be active, with the reason. `override_reason`: why
    a model is activated that a comparison has shown to be worse; see `web.model_tests.gate`.
    """
    with transaction.atomic():
        rivals = RegisteredModel.objects.select_for_update().filter(type=row.type, location=row.location)
        by_id = {each.pk: each for each in rivals.order_by("pk")}
        chosen = by_id.get(row.pk)
        if chosen is None or chosen.version != version:
            raise Conflict(CHANGED_MEANWHILE)
        before = next((each for each in by_id.values() if each.status == ModelStatus.ACTIVE), None)
        if (before.name if before else None) != replaces:
            raise Conflict(ACTIVATED_MEANWHILE)
        _require_activatable(chosen)
        _require_not_worse(chosen, before, override_reason)
        _replace(before, chosen, actor, override_reason)
    return chosen


def _require_not_worse(chosen: RegisteredModel, before: RegisteredModel | None, override_reason: str) -> None:
    """Compare with the model that is replaced, and with the one that answers now."""
    candidate = place_of(environment_of(chosen))
    for active in _places_replaced(before):
        require_not_worse(candidate, active, override_reason)


def _places_replaced(before: RegisteredModel | None) -> set[ModelPlace]:
    current = {place_of(effective_environment())}
    return current if before is None else {*current, place_of(environment_of(before))}


def _replace(
    before: RegisteredModel | None, chosen: RegisteredModel, actor: UUID | None, override_reason: str
) -> None:
    replaced = before if before is not None and before.pk != chosen.pk else None
    if replaced is not None:
        _set_status(replaced, ModelStatus.RETIRED, actor)
    try:
        with transaction.atomic():
            _set_status(chosen, ModelStatus.ACTIVE, actor)
    except IntegrityError as error:  # a model that was elsewhere when the others were locked
        raise Conflict(ACTIVATED_MEANWHILE) from error
    record(
        "model.activated",
        actor=actor,
        subject=f"model:{chosen.name}",
        replaced=replaced.name if replaced else "",
        **describe_override(override_reason),
    )


def active_name(row: RegisteredModel) -> str | None:
    """Return the name of the model that `row` would replace if it were activated; None if there is none."""
    found = _find_active(row)
    return found.name if found else None


def _find_active(row: RegisteredModel) -> RegisteredModel | None:
    rows = RegisteredModel.objects.filter(type=row.type, location=row.location, status=ModelStatus.ACTIVE)
    return rows.first()


def model_retire(
    *, row: RegisteredModel, version: int, actor: UUID | None, override_reason: str = ""
) -> RegisteredModel:
    """Stop using a model. Cairn then answers with the other active model, or as the settings say. Raises
    Conflict if that lets a model follow that a comparison has shown to be worse, without a reason."""
    with transaction.atomic():
        locked = _lock(row, version)
        _require_may_retire(locked, override_reason)
        _set_status(locked, ModelStatus.RETIRED, actor)
        record(
            "model.retired", actor=actor, subject=f"model:{locked.name}", **describe_override(override_reason)
        )
    return locked


def _require_may_retire(row: RegisteredModel, override_reason: str) -> None:
    if row.status == ModelStatus.ACTIVE:
        require_may_retire(place_of(environment_of(row)), override_reason)


def ab_test_begin(
    *, row: RegisteredModel, percent: int, max_answers: int, version: int, actor: UUID | None
) -> ABTest:
    """Let a candidate answer a share of the people. Raises Conflict if it may not: it must be inside the
    organisation and fit to be activated, and no comparison may have shown it to be worse."""
    with transaction.atomic():
        locked = _lock(row, version)
        _require_ab_testable(locked)
        return ab_test_start(candidate=locked, percent=percent, max_answers=max_answers, actor=actor)


def find_ab_test_objection(row: RegisteredModel) -> str:
    """Return why the model may not answer in an A/B test; else ""."""
    try:
        _require_ab_testable(row)
    except Conflict as error:
        return error.message
    return ""


def _require_ab_testable(row: RegisteredModel) -> None:
    if row.status != ModelStatus.CANDIDATE or row.location != ModelLocation.INSIDE:
        raise Conflict(gettext_noop("Only candidates inside your organisation can answer in an A/B test."))
    _require_activatable(row)
    candidate = place_of(environment_of(row))
    for active in _places_replaced(_find_active(row)):
        require_ab_testable(candidate, active)


def find_objection(row: RegisteredModel) -> str:
    """Return why the model may not be activated, or retired if it is active, without a reason; else ""."""
    try:
        if row.status == ModelStatus.ACTIVE:
            _require_may_retire(row, "")
        else:
            _require_not_worse(row, _find_active(row), "")
    except Conflict as error:
        return error.message
    return ""


def find_uncompared(row: RegisteredModel) -> str:
    """Return the name of a model that this one would replace without ever having been compared with it, while
    other models have been compared; "" if there is none."""
    if row.status == ModelStatus.ACTIVE:
        return ""
    candidate = place_of(environment_of(row))
    replaced = sorted(_places_replaced(_find_active(row)), key=lambda place: (place.name, place.server))
    return next((find_name(active) for active in replaced if is_uncompared(candidate, active)), "")


def environment_of(row: RegisteredModel) -> Environment:
    """Return the environment in which this language model answers."""
    return environment().with_stored(overrides_of_model(row))


def _require_activatable(row: RegisteredModel) -> None:
    """Raise Conflict if the model may not be active. The row is locked."""
    if row.type != ModelType.CHAT:
        raise Conflict(
            gettext_noop("Only chat models are activated here. Environment variables set the others.")
        )
    if has_ended(row.licence_ends, timezone.localdate()):
        raise Conflict(gettext_noop("The licence of this model has expired."))
    if row.measured_at is None:
        raise Conflict(gettext_noop("Test the connection before you activate this model."))


def _require_may_shadow(row: RegisteredModel) -> None:
    """Raise InvalidInput if the model has a share of shadow runs, and is none that may have it: an outside
    one would read passages of all knowledge bases, whatever they allow."""
    if row.shadow_percent and (row.type, row.location) != (ModelType.CHAT, ModelLocation.INSIDE):
        raise InvalidInput(gettext_noop("Only chat models inside your organisation can do shadow runs."))


def _lock(row: RegisteredModel, version: int) -> RegisteredModel:
    locked = RegisteredModel.objects.select_for_update().filter(pk=row.pk, version=version).first()
    if locked is None:
        raise Conflict(CHANGED_MEANWHILE)
    return locked


def _set_status(row: RegisteredModel, status: ModelStatus, actor: UUID | None) -> None:
    row.status = status
    _save(row, actor)


def _save(row: RegisteredModel, actor: UUID | None) -> None:
    row.version += 1
    row.changed_by_id = actor
    row.save()
    transaction.on_commit(forget_snapshot)
    transaction.on_commit(ab_test_stop_if_changed)


def _assign(row: RegisteredModel, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        match name:
            case "api_key":
                row.api_key = encrypt(value, purpose=MODEL_KEY_PURPOSE) if value else ""
            case "owner":
                row.owner_id = _require_user(value)
            case "base":
                row.base = _require_base(row, value)
            case _:
                setattr(row, name, value)


def _require_user(user: UUID | None) -> UUID | None:
    if user is not None and not User.objects.filter(pk=user).exists():
        raise InvalidInput(gettext_noop("There is no user with this id."))
    return user


def _require_base(row: RegisteredModel, name: str | None) -> RegisteredModel | None:
    """Return the base of an adapter, which has the same type and is no adapter itself."""
    if not name:
        return None
    base = RegisteredModel.objects.filter(name=name, base=None, type=row.type).exclude(pk=row.pk).first()
    if base is None or (row.pk and row.adapters.exists()):
        raise InvalidInput(gettext_noop("The base must be a model of the same type, and no adapter itself."))
    return base


def _fields_of(row: RegisteredModel) -> dict[str, Any]:
    """Return the fields of a row as they were entered, without its key."""
    found = {name: getattr(row, name) for name in ModelFields.model_fields if name not in _RELATED}
    return {**found, "owner": row.owner_id, "base": row.base.name if row.base else None}


_RELATED: Final = frozenset({"api_key", "owner", "base"})


def _describe(row: RegisteredModel) -> dict[str, Any]:
    return {name: _plain(getattr(row, name)) for name in _LOGGED}


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, int) else str(value)


def _compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    changed = [name for name in after if before[name] != after[name]]
    return {
        "before": {name: before[name] for name in changed},
        "after": {name: after[name] for name in changed},
    }


def _measurements(report: Report) -> dict[str, Any]:
    return {
        "context_tokens": report.context_tokens,
        "system_role": report.system_role,
        "turns": report.alternates,
        "milliseconds": report.milliseconds,
    }


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()
