"""Options of a source: validated by its kind, with secrets encrypted apart from the rest."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from pydantic import SecretStr, ValidationError

from cairn.errors import InvalidInput
from cairn.messages import CodedMessage
from cairn.settings.stored.encryption import decrypt, encrypt
from ingestion.models import Source as SourceRow
from ingestion.sources.kinds import get_kind
from ingestion.sources.protocol import Source, SourceKind, SourceOptions, SourceRefused

PURPOSE: Final = "source_secrets"
_SERVER_FIELDS: Final = frozenset(
    {
        "url",
        "base_url",
        "endpoint",
        "endpoint_url",
        "server",
        "host",
        "host_key",
        "hostname",
        "address",
        "login_url",
        "directory_url",
        "port",
        "directory_server",
        "directory_port",
        "directory_certificate",
        "encrypt",
        "security",
        "reader",
        "arguments",
    }
)
"""Names of options that say which server gets the secrets, and how well protected on the way."""


def parse_options(
    kind: SourceKind, values: Mapping[str, Any], *, before: SourceRow | None = None
) -> SourceOptions:
    """Validate options that a person entered. Raises InvalidInput with the first problem.

    Secrets that are missing or empty stay as they are in `before`, unless the server changed: another one
    must not get them.
    """
    entered = {name: value for name, value in values.items() if value not in ("", None)}
    stored = _secrets_of(before) if before else {}
    missing = stored.keys() - entered.keys()
    options = _validate(kind, {**entered, **{name: stored[name] for name in missing}})
    if before and missing and _server(before.options) != _server(_plain(options)):
        raise InvalidInput(CodedMessage("source_secret_again", field=_title(kind, min(missing))))
    return options


def store_options(source: SourceRow, options: SourceOptions) -> None:
    """Set the options of a source, which the caller saves."""
    source.options = _plain(options)
    secrets = {
        name: value.get_secret_value()
        for name, field in type(options).model_fields.items()
        if isinstance(value := getattr(options, name), SecretStr) and value != field.default
    }
    source.secrets = encrypt(json.dumps(secrets), purpose=PURPOSE) if secrets else ""


def load_options(source: SourceRow) -> SourceOptions:
    """Return the stored options with their secrets. Raises SourceRefused if they can't be read or are no
    longer valid."""
    try:
        return _validate(get_kind(source.kind), {**source.options, **_secrets_of(source)})
    except InvalidInput as error:
        raise SourceRefused(error.message) from error


def stored_secrets(source: SourceRow) -> list[str]:
    """Return the names of the stored secrets, never their values."""
    try:
        return sorted(_secrets_of(source))
    except InvalidInput:
        return []


@contextmanager
def connect(source: SourceRow) -> Iterator[Source]:
    """Connect to a source with its stored options."""
    with get_kind(source.kind).connect(load_options(source)) as connection:
        yield connection


def _validate(kind: SourceKind, values: Mapping[str, Any]) -> SourceOptions:
    try:
        return kind.options.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        field = _title(kind, name) or kind.label
        raise InvalidInput(CodedMessage("source_option_invalid", field=field, reason=first["msg"])) from None


def _title(kind: SourceKind, name: str) -> str:
    field = kind.options.model_fields.get(name)
    return (field.title if field else None) or name


def _plain(options: SourceOptions) -> dict[str, Any]:
    fields = type(options).model_fields
    secret = {name for name in fields if isinstance(getattr(options, name), SecretStr)}
    return options.model_dump(mode="json", exclude=secret)


def _server(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in _SERVER_FIELDS}


def _secrets_of(source: SourceRow) -> dict[str, str]:
    if not source.secrets:
        return {}
    text = decrypt(source.secrets, purpose=PURPOSE)
    if text is None:
        raise InvalidInput(CodedMessage("source_secrets_unreadable"))
    secrets: dict[str, str] = json.loads(text)
    return secrets
