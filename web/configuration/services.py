"""Store settings and the logo. Every change is recorded with its old and new values, except secrets."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.core.files import File
from django.db import IntegrityError, transaction

from cairn.audit.services import record
from cairn.errors import Conflict, InvalidInput
from cairn.inference.model_identity import place_of
from cairn.messages import gettext_noop
from cairn.settings.stored.models import Logo, StoredSection
from cairn.settings.stored.sections import ENTER_PROVIDER, LanguageModel, Section, SignIn
from cairn.settings.stored.store import decode, encode, environment_with, forget_snapshot
from web.configuration.logo import render_logo
from web.identity.jit_users import rights_withdraw
from web.model_tests.gate import describe_override, require_not_worse

CHANGED_MEANWHILE: Final = gettext_noop(
    "Someone else has changed these settings. Reload the page to see them, then make your change again."
)
SET_BY_ENVIRONMENT: Final = gettext_noop(
    "An environment variable sets this. Change it on the server, or remove it there first."
)
LOGO: Final = 1  # its only row
REDACTED: Final = "…"
"""Stands in the audit log for a secret."""


def section_change(
    *,
    section: type[Section],
    changes: Mapping[str, Any],
    version: int,
    actor: UUID | None,
    override_reason: str = "",
    key: str = "",
) -> None:
    """Store changed values; None removes one. `version`: the one that the changes were made to, 0 if
    nothing had been stored. `key`: that of a further identity provider. Raises Conflict if it isn't the
    current version, or if a language model would answer that a comparison has shown to be worse, without a
    reason; see `web.model_tests.gate`."""
    key = key or section.key
    with transaction.atomic():
        row = StoredSection.objects.select_for_update().filter(pk=key).first()
        if version != (row.version if row else 0):
            raise Conflict(CHANGED_MEANWHILE)
        before = decode(section, row.values if row else {})
        after = _apply(before, changes)
        changed = _list_changed(before, after)
        if section is LanguageModel:
            active, candidate = (place_of(environment_with(each)) for each in (before, after))
            require_not_worse(candidate, active, override_reason)
        _require_only_provider(key, after)
        _write(row, key, after, version + 1, actor)
        record(
            "settings.changed",
            actor=actor,
            subject=f"settings:{key}",
            before={name: _value_for_log(before, name) for name in changed},
            after={name: _value_for_log(after, name) for name in changed},
            **describe_override(override_reason),
        )
        _withdraw_rights(before, after, actor)
        transaction.on_commit(forget_snapshot)


def section_with(section: type[Section], changes: Mapping[str, Any], *, key: str = "") -> Section:
    """Return the stored section with changes that aren't stored."""
    row = StoredSection.objects.filter(pk=key or section.key).first()
    return _apply(decode(section, row.values if row else {}), changes)


def identity_provider_remove(*, key: str, version: int, actor: UUID | None) -> None:
    """Remove a further identity provider. Its people keep their accounts, but are signed out and can't sign
    in with it."""
    with transaction.atomic():
        row = StoredSection.objects.select_for_update().filter(pk=key).first()
        if row is None or row.version != version:
            raise Conflict(CHANGED_MEANWHILE)
        if SignIn.variable_of("server_url"):
            raise Conflict(SET_BY_ENVIRONMENT)
        before = decode(SignIn, row.values)
        row.delete()
        names = [name for name in SignIn.model_fields if getattr(before, name) is not None]
        values = {name: _value_for_log(before, name) for name in names}
        record("settings.changed", actor=actor, subject=f"settings:{key}", before=values, after={})
        _withdraw_rights(before, None, actor)
        transaction.on_commit(forget_snapshot)


def _withdraw_rights(before: Section, after: Section | None, actor: UUID | None) -> None:
    """Take away what an identity provider gave its people if it is no longer used."""
    former = before.provider if isinstance(before, SignIn) else None
    present = after.provider if isinstance(after, SignIn) else None
    if former and (present is None or present.id != former.id):
        rights_withdraw(former, actor=actor)


def logo_set(*, file: "File[bytes]", actor: UUID | None) -> None:
    """Store an uploaded image as the logo. Raises InvalidInput for what isn't one."""
    image = render_logo(file)
    digest = hashlib.sha256(image).hexdigest()
    with transaction.atomic():
        before = _logo_so_far()
        Logo.objects.update_or_create(pk=LOGO, defaults={"content": image, "sha256": digest})
        _record_logo(actor, before, digest)


def logo_remove(*, actor: UUID | None) -> bool:
    """Return whether there was a logo."""
    with transaction.atomic():
        if before := _logo_so_far():
            Logo.objects.filter(pk=LOGO).delete()
            _record_logo(actor, before, "")
    return bool(before)


def _apply(before: Section, changes: Mapping[str, Any]) -> Section:
    after = before.model_validate({**before.model_dump(), **changes})
    changed = _list_changed(before, after)
    if any(before.variable_of(name) for name in changed):
        raise Conflict(SET_BY_ENVIRONMENT)
    after.require_consistent(before, changes.keys())
    return after


def _require_only_provider(key: str, values: Section) -> None:
    """Raise Conflict if another stored provider has the address, to which accounts belong, or the name, by
    which people choose it."""
    if not isinstance(values, SignIn):
        return
    if key != SignIn.key and values.provider is None:
        raise InvalidInput(ENTER_PROVIDER)
    for row in StoredSection.objects.filter(section__startswith=SignIn.key).exclude(pk=key):
        other = decode(SignIn, row.values)
        if values.is_same_provider(other):
            raise Conflict(gettext_noop("Another provider already has this address."))
        if values.name and values.name.casefold() == (other.name or "").casefold():
            raise Conflict(gettext_noop("Another provider already has this name."))


def _write(row: StoredSection | None, key: str, values: Section, version: int, actor: UUID | None) -> None:
    given = {"values": encode(values), "version": version, "changed_by_id": actor}
    if row is None:
        try:
            with transaction.atomic():
                StoredSection.objects.create(section=key, **given)
        except IntegrityError as error:  # another admin was the first at the same moment
            raise Conflict(CHANGED_MEANWHILE) from error
        return
    for name, value in given.items():
        setattr(row, name, value)
    row.save()


def _list_changed(before: Section, after: Section) -> list[str]:
    return [name for name in type(after).model_fields if getattr(before, name) != getattr(after, name)]


def _value_for_log(values: Section, name: str) -> Any:
    value = getattr(values, name)
    return REDACTED if name in values.secrets and value is not None else value


def _logo_so_far() -> str:
    """Return the SHA-256 of the logo, "" if there is none."""
    rows = Logo.objects.select_for_update().filter(pk=LOGO)
    return next(iter(rows.values_list("sha256", flat=True)), "")


def _record_logo(actor: UUID | None, before: str, after: str) -> None:
    record("settings.changed", actor=actor, subject="settings:logo", before=before, after=after)
    transaction.on_commit(forget_snapshot)
