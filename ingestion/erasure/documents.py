"""Erase documents and knowledge bases everywhere, and verify that nothing is left."""

from collections import Counter
from collections.abc import Iterable
from typing import Protocol
from uuid import UUID

from django.db import transaction

from cairn.access.source_services import forget_source
from cairn.errors import Unavailable
from cairn.library import storage
from cairn.library.models import Chunk, Document, KnowledgeBase
from ingestion.documents.resumable_uploads import uploads_drop
from ingestion.erasure.receipts import add_removed_counts, receipts_close, rewrite_request
from ingestion.failpoints import Fault, fault_point
from ingestion.models import IdempotencyKey, ImportItem, Job, PartialUpload, Receipt, ReceiptState, Source
from ingestion.parse.page_images import picture_names
from retrieval.conversations import services, undo
from retrieval.evaluation import gold_questions, runs
from retrieval.evaluation.model_comparisons.verdicts import comparisons_forget
from retrieval.gaps import services as gaps


class Points(Protocol):
    """The part of `VectorIndex` that erasure uses."""

    def count(self, *, document: UUID) -> int: ...

    def delete_document(self, document: UUID) -> None: ...


def erase(receipt_id: UUID, index: Points) -> None:
    """Erase the object of a receipt. Idempotent. Raises Unavailable while a worker is on it.

    The receipt is done only after the index was rewritten, which the reindexing thread does.
    """
    receipt = Receipt.objects.filter(pk=receipt_id, state=ReceiptState.PENDING).first()
    if receipt is None:
        return
    if receipt.waits_for is None:
        _remove(receipt, index)
        rewrite_request(receipt)
    receipts_close(receipt.pk)


def _remove(receipt: Receipt, index: Points) -> None:
    kind, _, identity = receipt.object.partition(":")
    for document in _targets(kind, UUID(identity)):
        _erase_document(document, index, receipt)
    if kind == "knowledge-base":
        for source in Source.objects.filter(knowledge_base=UUID(identity)):
            forget_source(source.id)
        uploads_drop(PartialUpload.objects.filter(knowledge_base=UUID(identity)))
        with transaction.atomic():
            comparisons_forget(knowledge_base=UUID(identity))
            deleted, _ = KnowledgeBase.objects.filter(pk=identity).delete()
        add_removed_counts(receipt, Counter(rows=deleted))
        gaps.knowledge_bases_forget()


def _targets(kind: str, identity: UUID) -> Iterable[Document]:
    """Return the top-level documents to erase. Embedded documents are erased with their containers."""
    if kind == "document":
        return Document.objects.filter(pk=identity)
    return Document.objects.filter(knowledge_base=identity, parent=None).iterator()


def _erase_document(document: Document, index: Points, receipt: Receipt) -> None:
    """Erase embedded documents first: cascading would delete their rows, but not their files and points."""
    _stop_workers(document)
    for inside in document.children.iterator():
        _erase_document(inside, index, receipt)
    identity = document.id  # the row loses it when it is deleted
    points = index.count(document=identity)
    index.delete_document(document.id)
    fault_point(Fault.DURING_ERASURE)
    files = _files_of(document)
    removed = Counter(points=points, files=storage.files_delete(*files))
    with transaction.atomic():
        copies = undo.deleted_conversations_forget(document.id)
        removed["quotes"] = services.forget_document(document.id) + runs.forget_document(document)
        # Again: a conversation that was being deleted meanwhile has left a copy.
        removed["quotes"] += copies + undo.deleted_conversations_forget(document.id)
        gold_questions.forget_document(document.id)
        gaps.document_forget(document.id)
        ImportItem.objects.filter(document=document).update(source_uri=runs.DELETED, message="")
        removed["chunks"] = Chunk.objects.filter(version__document=document).count()
        keys, _ = IdempotencyKey.objects.filter(document=document.id).delete()
        rows, _ = document.delete()
        removed["rows"] = rows + keys
        add_removed_counts(receipt, removed)
    if index.count(document=identity):
        raise Unavailable("The index still contains points of an erased document.")
    if storage.files_delete(*files):
        raise Unavailable("Files of an erased document still exist.")


def _stop_workers(document: Document) -> None:
    """Cancel the document's jobs. A running worker would write points after they were removed."""
    jobs = Job.objects.filter(version__document=document).open()
    jobs.update(cancel_requested=True)
    if jobs.leased().exists():
        raise Unavailable("A worker is still processing this document.")


def _files_of(document: Document) -> list[str]:
    """Return the names of all stored files, including renditions of workers that died before recording
    them.
    """
    return [
        name
        for version in document.versions.all()
        for name in (version.original, storage.rendition_name(version.id), *picture_names(version.id))
    ]
