"""All settings with their values and origins."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

from cairn.settings import Environment
from cairn.settings.env import FileVariantSource, accept_deprecated_names

HIDDEN = "********"
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting. `origin`: environment, file (NAME_FILE), .env or default."""

    name: str
    value: str
    origin: str
    description: str


def settings_list(environment: Environment) -> list[Setting]:
    sources = {
        "file": FileVariantSource(Environment),
        "environment": EnvSettingsSource(Environment),
        ".env": DotEnvSettingsSource(Environment),
    }
    values = {origin: accept_deprecated_names(source)() for origin, source in sources.items()}
    return [
        Setting(
            field.upper(),
            _format_value(getattr(environment, field)),
            _origin(field, values),
            info.description or "",
        )
        for field, info in Environment.model_fields.items()
    ]


def _origin(name: str, sources: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the first source that has the setting; empty values count as not set."""
    for origin, values in sources.items():
        if name in values:
            return origin if values[name] != "" else "default"
    return "default"


def _format_value(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return HIDDEN
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return _CREDENTIALS.sub(f"{HIDDEN}@", text)
