"""Form fields of uploads, two of which contain JSON. `documents` and `imports` receive the uploads."""

from collections.abc import Sequence
from typing import Any, Final

from django.http import HttpRequest
from django.utils.translation import gettext_noop
from ninja import UploadedFile
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from cairn.errors import MalformedRequest
from web.api.framework.fields import METADATA_CHARACTERS, Metadata, SourceUri, Subjects
from web.api.framework.problems import InvalidFields, field_error, invalid_field
from web.api.framework.request_parser import check_text, json_load

MOST_FILES: Final = 50
"""In one request."""

_METADATA = TypeAdapter[dict[str, Any]](Metadata)
_READERS = TypeAdapter[list[str]](Subjects)


class UploadForm(BaseModel):
    """Form fields of an upload. Empty fields count as absent."""

    model_config = ConfigDict(populate_by_name=True)

    title: str = Field("", max_length=500)
    source_uri: SourceUri = Field("", description="Uploading it again adds a new version")
    metadata: str = Field("", max_length=METADATA_CHARACTERS, description="A JSON object")
    readers: str = Field("", max_length=METADATA_CHARACTERS, description="A JSON list of subjects")

    batch: str = Field("", max_length=100, alias="import", description="The import it belongs to")

    def options(self) -> dict[str, Any]:
        """Return the arguments for `document_submit`; None for absent fields."""
        return {
            "title": self.title.strip() or None,
            "source_uri": self.source_uri or None,
            "metadata": _json("metadata", self.metadata, _METADATA),
            "readers": _json("readers", self.readers, _READERS),
        }


class FilesForm(BaseModel):
    """Sources of the files, in the same order; an empty one is replaced by the file name."""

    source_uri: list[SourceUri] = Field([], max_length=MOST_FILES)

    def sources(self, files: Sequence[UploadedFile]) -> list[str | None]:
        """Return one source per file. Raises InvalidFields if the number differs."""
        if self.source_uri and len(self.source_uri) != len(files):
            raise invalid_field(
                "form", "source_uri", message=gettext_noop("Enter one for each file, or none.")
            )
        return [uri or None for uri in self.source_uri] or [None] * len(files)


def _json(name: str, text: str, adapter: TypeAdapter[Any]) -> Any:
    if not text.strip():
        return None
    try:
        value = json_load(text)
        check_text(value, "form", name)
        return adapter.validate_python(value)
    except MalformedRequest as error:
        raise invalid_field("form", name, message=gettext_noop("Enter valid JSON.")) from error
    except ValidationError as error:
        raise InvalidFields([field_error(dict(each), "form", name) for each in error.errors()]) from error


def refuse_unknown_fields(request: HttpRequest, form: type[BaseModel] = UploadForm) -> None:
    known = {"file", *(field.alias or name for name, field in form.model_fields.items())}
    unknown = sorted({*request.POST, *request.FILES} - known)
    if unknown:
        raise InvalidFields(
            [{"loc": ["form", "?"], "msg": f"{len(unknown)} unknown fields", "type": "extra_forbidden"}]
        )
