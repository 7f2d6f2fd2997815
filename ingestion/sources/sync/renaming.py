"""Give documents the names that their items now have, without processing them again."""

from pathlib import PurePosixPath

from cairn.access.scope import Principal
from cairn.library.models import Document, DocumentVersion
from ingestion.documents.services import document_update
from ingestion.models import SourceItem


def apply_names(row: SourceItem, *, before: str, principal: Principal) -> None:
    """Set title and address of the row's document. `before` is the file name it had.

    If the extension changed, the document is processed again, since it may have another format.
    """
    document = row.document
    if document is None or document.deleted_at:
        return
    Document.objects.filter(pk=document.pk).update(source_uri=row.uri)
    title = row.title or (row.name if document.title == before else document.title)
    if title != document.title:
        document_update(document=document, principal=principal, changes={"title": title})
    if extension_of(row.name) != extension_of(before):
        row.synced_version = ""
    elif document.latest_version_id:
        DocumentVersion.objects.filter(pk=document.latest_version_id).update(filename=row.name)


def extension_of(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
