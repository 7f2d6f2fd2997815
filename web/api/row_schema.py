"""Base of schemas whose fields are mostly those of a row."""

from typing import Any, Self

from pydantic import BaseModel


class RowSchema(BaseModel):
    """A schema that takes the fields that aren't given from attributes of the same names."""

    @classmethod
    def read(cls, row: object, **given: Any) -> Self:
        """Build it from a row and from fields that the row doesn't have, or has in another form."""
        return cls(**given, **{name: getattr(row, name) for name in cls.model_fields if name not in given})
