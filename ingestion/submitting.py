"""Several files of one import at once: small ones cost more to send and to ask about than to take."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.core.files.base import File

from cairn.access.scope import Principal
from cairn.errors import InvalidInput
from ingestion.imports import require_takes_files
from ingestion.models import Import
from ingestion.services import Submission, clean_filename, document_submit


@dataclass(frozen=True, slots=True)
class Sent:
    """`source_uri` None: the name says where it is from."""

    file: "File[bytes]"
    filename: str
    source_uri: str | None

    @property
    def key(self) -> str:
        return self.source_uri or clean_filename(self.filename)


def files_submit(
    *, batch: Import, files: Sequence[Sent], principal: Principal, arrived: float | None = None
) -> list[Submission | InvalidInput]:
    """What became of each, in their order. One that is refused keeps none of the others out. Conflict if the
    import was cancelled.

    What else is raised, such as NotFound, leaves those before it where they are: sent again, they are known.
    """
    require_takes_files(batch)
    return [_submit(batch, sent, principal, arrived) for sent in files]


def _submit(
    batch: Import, sent: Sent, principal: Principal, arrived: float | None
) -> Submission | InvalidInput:
    try:
        return document_submit(
            knowledge_base=batch.knowledge_base,
            file=sent.file,
            filename=sent.filename,
            principal=principal,
            source_uri=sent.source_uri,
            batch=batch,
            arrived=arrived,
        )
    except InvalidInput as error:
        return error
