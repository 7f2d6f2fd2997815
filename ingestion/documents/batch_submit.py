"""Submit several files of an import in one request, which is cheaper for small files."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.core.files.base import File

from cairn.access.scope import Principal
from cairn.errors import InvalidInput
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Submission, Upload, clean_filename
from ingestion.imports.services import require_takes_files
from ingestion.models import Import


@dataclass(frozen=True, slots=True)
class IncomingFile:
    """An uploaded file. Without a `source_uri` the filename is its source."""

    file: "File[bytes]"
    filename: str
    source_uri: str | None

    @property
    def key(self) -> str:
        return self.source_uri or clean_filename(self.filename)


def files_submit(
    *, batch: Import, files: Sequence[IncomingFile], principal: Principal, arrived: float | None = None
) -> list[Submission | InvalidInput]:
    """Submit files in order and return the result of each; a refused file does not affect the others.

    Raises Conflict if the import was cancelled. After other errors, such as NotFound, earlier files stay
    submitted; sending them again is harmless.
    """
    require_takes_files(batch)
    return [_submit(batch, sent, principal, arrived) for sent in files]


def _submit(
    batch: Import, sent: IncomingFile, principal: Principal, arrived: float | None
) -> Submission | InvalidInput:
    try:
        return document_submit(
            Upload(sent.file, sent.filename, source_uri=sent.source_uri, batch=batch, arrived=arrived),
            knowledge_base=batch.knowledge_base,
            principal=principal,
        )
    except InvalidInput as error:
        return error
