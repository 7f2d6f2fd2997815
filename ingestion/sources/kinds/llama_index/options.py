"""Options of a LlamaIndex reader."""

import json

from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr, field_validator

from cairn.settings import environment
from ingestion.sources.protocol import SourceOptions


class ReaderOptions(SourceOptions):
    """`reader` is the dotted path of a class. `arguments` and `secrets` are JSON objects of its arguments."""

    reader: str = Field(
        max_length=200,
        title=_("Reader class"),
        description=_("Dotted path of its class. The setting SOURCE_READERS lists the allowed ones."),
    )
    arguments: str = Field(
        default="{}",
        max_length=10_000,
        title=_("Arguments"),
        description=_('JSON object, such as {"input_dir": "/srv/documents"}.'),
    )
    secrets: SecretStr = Field(
        default=SecretStr("{}"),
        title=_("Secret arguments"),
        description=_("JSON object with further arguments, such as tokens. They are stored encrypted."),
    )

    @field_validator("reader")
    @classmethod
    def _check_reader(cls, reader: str) -> str:
        if reader not in environment().source_readers:
            raise ValueError(_("An operator must first add this reader to the setting SOURCE_READERS."))
        return reader

    @field_validator("arguments")
    @classmethod
    def _check_arguments(cls, arguments: str) -> str:
        parse_arguments(arguments)
        return arguments

    @field_validator("secrets")
    @classmethod
    def _check_secrets(cls, secrets: SecretStr) -> SecretStr:
        parse_arguments(secrets.get_secret_value())
        return secrets


def parse_arguments(text: str) -> dict[str, object]:
    """Parse a JSON object. Raises ValueError, without the text, which may contain secrets."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(_("Enter a JSON object, such as {}."))  # pydantic expects a ValueError
    return found
