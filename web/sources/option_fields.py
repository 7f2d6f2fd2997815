"""Form fields of a kind's options: how each one is labelled, shown and read, and what is wrong with it."""

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from django.utils.translation import gettext
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from ingestion.sources.protocol import SourceOptions
from web.i18n.field_errors import describe_field_error

SELECTION: Final = "selection"
"""Value of "step" in a field's `json_schema_extra` if it selects what is taken from the source."""
LONGEST_VALUE: Final = 20_000
_UNIONS: Final = (Union, types.UnionType)
_LISTS: Final = (list, tuple, set, frozenset)


class InputKind(Enum):
    """How an option is entered."""

    LINE = "line"
    LINES = "lines"
    NUMBER = "number"
    CHECK = "check"
    CHOICE = "choice"
    SECRET = "secret"  # noqa: S105 - the kind of a field
    SECRET_TEXT = "secret_text"  # noqa: S105 - the kind of a field


@dataclass(frozen=True, slots=True)
class OptionField:
    """A form field. `is_stored`: whether there is a secret. `problem`: what is wrong with the value."""

    name: str
    label: str
    hint: str
    kind: str
    value: str = ""
    problem: str = ""
    is_required: bool = False
    is_stored: bool = False
    is_selection: bool = False
    choices: Sequence[tuple[str, str]] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)


def secret_names(options: type[SourceOptions]) -> frozenset[str]:
    """Return the names of the options that are stored encrypted."""
    return frozenset(
        name for name, info in options.model_fields.items() if _plain_type(info.annotation) is SecretStr
    )


def list_option_fields(
    options: type[SourceOptions],
    values: Mapping[str, Any],
    *,
    stored_secrets: frozenset[str] = frozenset(),
    problems: Mapping[str, str] | None = None,
) -> list[OptionField]:
    """Return the fields with `values`: what was typed or stored. Secrets are never shown."""
    found = problems or {}
    return [
        _option_field(name, info, values, stored_secrets, found.get(name, ""))
        for name, info in options.model_fields.items()
    ]


def read_options(options: type[SourceOptions], typed: Mapping[str, str]) -> dict[str, Any]:
    """Return the options that a form sends. Empty fields and secrets are left out."""
    read: dict[str, Any] = {}
    for name, info in options.model_fields.items():
        kind = _input_kind(info)
        text = typed.get(name, "")[:LONGEST_VALUE]
        if kind is InputKind.CHECK:
            read[name] = bool(text)
        elif kind is InputKind.LINES:
            read[name] = [line.strip() for line in text.splitlines() if line.strip()]
        elif text.strip():
            read[name] = text if kind is InputKind.SECRET else text.strip()
    return read


def describe_problems(error: ValidationError) -> dict[str, str]:
    """Return what is wrong in plain words, by the name of the option; "" for the options as a whole."""
    found: dict[str, str] = {}
    for each in error.errors(include_url=False):
        name = str(each["loc"][0]) if each["loc"] else ""
        found.setdefault(name, describe_field_error({**each, "loc": each["loc"][1:]}))
    return found


def _option_field(
    name: str, info: FieldInfo, values: Mapping[str, Any], stored_secrets: frozenset[str], problem: str
) -> OptionField:
    kind = _input_kind(info)
    is_secret = kind in (InputKind.SECRET, InputKind.SECRET_TEXT)
    return OptionField(
        name=name,
        label=gettext(info.title or name.replace("_", " ").capitalize()),
        hint=gettext(info.description) if info.description else "",
        kind=kind.value,
        value="" if is_secret else _format_value(values.get(name, _default(info))),
        problem=problem,
        is_required=info.is_required() and name not in stored_secrets,
        is_stored=name in stored_secrets,
        is_selection=_extra(info).get("step") == SELECTION,
        choices=[(value, _choice_label(info, value)) for value in _choice_values(info)],
        attributes=_attributes(info, kind),
    )


def _default(info: FieldInfo) -> Any:
    return None if info.is_required() else info.get_default(call_default_factory=True, validated_data={})


def _extra(info: FieldInfo) -> Mapping[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def _input_kind(info: FieldInfo) -> InputKind:
    plain = _plain_type(info.annotation)
    if plain is SecretStr:
        return InputKind.SECRET_TEXT if _extra(info).get("multiline") else InputKind.SECRET
    if plain is bool:
        return InputKind.CHECK
    if plain in (int, float):
        return InputKind.NUMBER
    if get_origin(plain) in _LISTS or plain in _LISTS:
        return InputKind.LINES
    return InputKind.CHOICE if _choice_values(info) else InputKind.LINE


def _plain_type(annotation: Any) -> Any:
    """Return the type without Annotated and None."""
    if get_origin(annotation) is Annotated:
        return _plain_type(get_args(annotation)[0])
    if get_origin(annotation) in _UNIONS:
        inner = [each for each in get_args(annotation) if each is not types.NoneType]
        return _plain_type(inner[0]) if len(inner) == 1 else annotation
    return annotation


def _choice_values(info: FieldInfo) -> list[str]:
    plain = _plain_type(info.annotation)
    if get_origin(plain) is Literal:
        return [str(each) for each in get_args(plain)]
    if isinstance(plain, type) and issubclass(plain, Enum):
        return [str(each.value) for each in plain]
    return []


def _choice_label(info: FieldInfo, value: str) -> str:
    labels = _extra(info).get("labels", {})
    return gettext(labels[value]) if isinstance(labels, dict) and value in labels else value


def _attributes(info: FieldInfo, kind: InputKind) -> dict[str, str]:
    names = {"ge": "min", "le": "max", "max_length": "maxlength"}
    if kind is InputKind.LINES:
        return {}
    found = {
        attribute: str(value)
        for each in info.metadata
        for name, attribute in names.items()
        if (value := getattr(each, name, None)) is not None
    }
    return {**found, "step": "any"} if _plain_type(info.annotation) is float else found


def _format_value(value: Any) -> str:
    if value is None or value is False:
        return ""
    if isinstance(value, _LISTS):
        return "\n".join(str(each) for each in value)
    return str(value.value if isinstance(value, Enum) else value)
