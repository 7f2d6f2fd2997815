"""Model fields for messages. Rows from before messages had codes contain plain text, and keep it."""

import json
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from cairn.messages import CodedMessage, from_json, str_from_json, to_json

_START = '{"message":'


class MessageField(models.TextField):  # type: ignore[type-arg]
    """A text that is stored with its code and parameters if it is a `CodedMessage`."""

    def from_db_value(self, value: str | None, *_: object) -> str | None:
        if not value or not value.startswith(_START):
            return value
        try:
            return str_from_json(json.loads(value))
        except ValueError:  # a plain text that only looks like a message
            return value

    def get_prep_value(self, value: Any) -> Any:
        return (
            json.dumps(to_json(value)) if isinstance(value, CodedMessage) else super().get_prep_value(value)
        )

    def deconstruct(self) -> Any:
        """Migrations see a `TextField`: the column is the same."""
        name, _, args, options = super().deconstruct()
        return name, "django.db.models.TextField", args, options


class MessageJSONField(models.JSONField):
    """JSON data in which messages are stored with their codes and parameters."""

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        return from_json(super().from_db_value(value, expression, connection))

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        return super().get_db_prep_value(to_json(value), connection, prepared)

    def deconstruct(self) -> Any:
        """Migrations see a `JSONField`: the column is the same."""
        name, _, args, options = super().deconstruct()
        return name, "django.db.models.JSONField", args, options
