"""Reads stored settings. Every process looks for changes every few seconds, so none needs a restart."""

import asyncio
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.apps import apps
from django.db import DatabaseError, connections
from pydantic import SecretStr, ValidationError

from cairn.errors import InvalidInput
from cairn.settings import Environment, environment
from cairn.settings.stored.encryption import decrypt, encrypt
from cairn.settings.stored.sections import LanguageModel, Section, SignIn, section_for

if TYPE_CHECKING:  # models can be imported only after Django has started
    from cairn.settings.stored.models import RegisteredModel

log = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 3.0
_STALE: Final = float("-inf")
PURPOSE: Final = "stored_settings"
MODEL_KEY_PURPOSE: Final = "registered_models"
S = TypeVar("S", bound=Section)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Stored settings at one moment. `environment`: the effective one; None if nothing overrides it.
    `logo`: its SHA-256, or "". `chat_models`: the active ones, by location. `inside`: the environment of the
    inside model that answers where an outside one may not; None if there is none."""

    read_at: float
    rows: Mapping[str, tuple[int, Mapping[str, Any]]] = field(default_factory=dict)
    logo: str = ""
    sections: Mapping[str, Section] = field(default_factory=dict)
    environment: Environment | None = None
    chat_models: Mapping[str, "RegisteredModel"] = field(default_factory=dict)
    inside: Environment | None = None


_current: Snapshot | None = None
_lock = threading.Lock()
_refreshing = threading.Lock()


def effective_environment() -> Environment:
    """Return the environment, completed by the settings that admins stored."""
    return current_snapshot().environment or environment()


def inside_environment() -> Environment | None:
    """Return the environment with the inside language model in place of the outside one that answers.

    None if no inside model is active beside it.
    """
    return current_snapshot().inside


def active_chat_model(location: str) -> "RegisteredModel | None":
    """Return the registered language model that is active inside or outside, as of a few seconds ago."""
    return current_snapshot().chat_models.get(location)


def chat_model_variable() -> str:
    """Return the environment variable that sets the language model, "" if registered ones are used."""
    return LanguageModel.variable_of("base_url")


def environment_with(section: Section) -> Environment:
    """Return the environment that answers if this section is stored, whatever this process has read."""
    sections = {**current_snapshot().sections, section.key: section}
    return _overlay(sections, _load_chat_models()) or environment()


def load_section(section: type[S]) -> S:
    """Return what is stored for a section, secrets in plain text, whether or not it takes effect."""
    found = current_snapshot().sections.get(section.key)
    return found if isinstance(found, section) else section()


def load_identity_providers() -> dict[str, SignIn]:
    """Return the stored identity providers by key, the first one before the further ones by name."""
    found = {key: each for key, each in current_snapshot().sections.items() if isinstance(each, SignIn)}
    return dict(sorted(found.items(), key=lambda item: (item[0] != SignIn.key, item[1].name or "", item[0])))


def current_snapshot() -> Snapshot:
    """Return the settings, at most a few seconds old. Without a database, those read last.

    An event loop can't wait for the database: it gets those read last, and a thread reads them again.
    """
    found = _current
    if found is not None and time.monotonic() - found.read_at < REFRESH_SECONDS:
        return found
    if not _in_event_loop():
        return _refresh(found)
    if _refreshing.acquire(blocking=False):
        threading.Thread(target=_refresh_in_background, args=(found,), daemon=True).start()
    return found or Snapshot(0)


def reload_snapshot() -> None:
    """Read the settings now, so that the first request of a process meets them."""
    forget_snapshot()
    current_snapshot()


def forget_snapshot() -> None:
    """Let this process read the settings again at their next use. Event loops use the old ones until then."""
    global _current
    with _lock:
        _current = _as_of(_STALE, _current) if _current else None


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _refresh(found: Snapshot | None) -> Snapshot:
    global _current
    with _lock:
        if _current is found or _current is None or _current.read_at == _STALE:
            _current = _read(_current)
        return _current


def _refresh_in_background(found: Snapshot | None) -> None:
    try:
        _refresh(found)
    finally:
        _refreshing.release()
        connections.close_all()


def encode(values: Section) -> dict[str, Any]:
    """Return the values as they are stored: without those that are not set, and secrets encrypted."""
    found = values.model_dump(mode="json", exclude_none=True)
    return {
        name: encrypt(value, purpose=PURPOSE) if name in values.secrets else value
        for name, value in found.items()
    }


def decode(section: type[S], values: Mapping[str, Any]) -> S:
    """Return the stored values. One that can't be read, such as after a change of SECRET_KEY, isn't set.

    Of a server, nothing is set then: the rest of it may not go to another one.
    """
    plain = {
        name: decrypt(value, purpose=PURPOSE) if name in section.secrets else value
        for name, value in values.items()
        if name in section.model_fields
    }
    invalid = {name for name, value in plain.items() if not _is_valid(section, name, value)}
    if invalid:
        log.warning("stored settings of %s are ignored: %s", section.key, ", ".join(sorted(invalid)))
    if invalid & section.variables.keys():
        invalid |= section.variables.keys()
    return section.model_validate({name: value for name, value in plain.items() if name not in invalid})


def _is_valid(section: type[Section], name: str, value: object) -> bool:
    try:
        section.model_validate({name: value})
    except (InvalidInput, ValidationError):
        return False
    return True


def _read(before: Snapshot | None) -> Snapshot:
    now = time.monotonic()
    try:
        stored_section, logo_model = (apps.get_model("stored_settings", name) for name in _MODELS)
        rows = {row.section: (row.version, row.values) for row in stored_section.objects.all()}
        logo = logo_model.objects.values_list("sha256", flat=True).first() or ""
        chat_models = _load_chat_models()
    except DatabaseError as error:  # it is away, or has no tables yet
        level = logging.DEBUG if before is None else logging.WARNING
        log.log(level, "stored settings could not be read: %s", type(error).__name__)
        return _as_of(now, before) if before else Snapshot(now)
    if before is not None and before.read_at != _STALE and _is_unchanged(before, rows, logo, chat_models):
        return _as_of(now, before)
    sections = {key: decode(section, row[1]) for key, row in rows.items() if (section := section_for(key))}
    overlay = _overlay(sections, chat_models)
    return Snapshot(
        now, rows, logo, sections, overlay, chat_models, _inside(overlay or environment(), chat_models)
    )


_MODELS: Final = ("StoredSection", "Logo")


def _load_chat_models() -> "dict[str, RegisteredModel]":
    """Return the active language models by location."""
    rows = apps.get_model("stored_settings", "RegisteredModel").objects
    return {row.location: row for row in rows.filter(type="chat", status="active")}


def _is_unchanged(
    before: Snapshot, rows: Mapping[str, Any], logo: str, chat_models: "Mapping[str, RegisteredModel]"
) -> bool:
    first, second = (
        {(row.pk, row.version) for row in models.values()} for models in (before.chat_models, chat_models)
    )
    return (rows, logo, second) == (before.rows, before.logo, first)


def _as_of(moment: float, found: Snapshot) -> Snapshot:
    return replace(found, read_at=moment)


def _overlay(
    sections: Mapping[str, Section], chat_models: "Mapping[str, RegisteredModel]"
) -> Environment | None:
    """Return the environment with the stored values that no variable takes precedence over."""
    overrides = {
        name: value for section in sections.values() for name, value in overrides_of(section).items()
    }
    row = chat_models.get("outside") or chat_models.get("inside")
    if row is not None and not chat_model_variable():
        overrides |= overrides_of_model(row)
    return environment().with_stored(overrides) if overrides else None


def _inside(current: Environment, chat_models: "Mapping[str, RegisteredModel]") -> Environment | None:
    row = chat_models.get("inside")
    if row is None or current.llm_location == "inside":
        return None
    return current.with_stored(overrides_of_model(row))


def overrides_of_model(row: "RegisteredModel") -> dict[str, Any]:
    """Return what a registered language model sets in place of the environment's values.

    It sets all of them: a key, for example, must not reach the server of another model.
    """
    key = decrypt(row.api_key, purpose=MODEL_KEY_PURPOSE) if row.api_key else None
    defaults = type(environment()).model_fields
    context, system_role = row.measured.get("context_tokens"), row.measured.get("system_role")
    return {
        "llm_class": None,
        "llm_base_url": row.base_url,
        "llm_api_key": SecretStr(key) if key else None,
        "llm_model": row.model,
        "llm_context_tokens": context or defaults["llm_context_tokens"].default,
        "llm_system_role": defaults["llm_system_role"].default if system_role is None else system_role,
        "llm_location": row.location,
    }


def overrides_of(section: Section) -> dict[str, Any]:
    """Return the values that a section has in place of the environment's, by the environment's names."""
    return {
        target: SecretStr(value) if name in section.secrets else value
        for name, target in section.environment.items()
        if (value := getattr(section, name)) is not None and not section.variable_of(name)
    }
