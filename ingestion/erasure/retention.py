"""Delete documents and conversations whose retention period has passed."""

import logging
from datetime import datetime, timedelta

from django.db.models.functions import Coalesce
from django.utils import timezone

from cairn.errors import NotFound
from cairn.library.models import Document, DocumentQuerySet, KnowledgeBase
from cairn.settings.stored.store import effective_environment
from ingestion.documents.conversation_files import orphaned_files_delete
from ingestion.documents.resumable_uploads import uploads_sweep
from ingestion.documents.services import document_delete
from ingestion.erasure.sqlite_wal import scrub
from retrieval.conversations.services import conversations_expire, expired_conversations_delete
from retrieval.conversations.undo import deleted_conversations_purge

log = logging.getLogger(__name__)

BATCH_SIZE = 200


def find_expired(base: KnowledgeBase, days: int, *, at: datetime | None = None) -> DocumentQuerySet:
    """Find documents whose latest version is older than `days`, except embedded ones, which are deleted with
    their container.
    """
    limit = (at or timezone.now()) - timedelta(days=days)
    documents = Document.objects.present().filter(knowledge_base=base, parent=None)
    came = Coalesce("latest_version__created_at", "created_at")
    return documents.annotate(came=came).filter(came__lt=limit)


def apply_retention() -> int:
    """Delete expired data, up to BATCH_SIZE documents per knowledge base. Returns the number of documents."""
    uploads_sweep()
    deleted = 0
    for base in KnowledgeBase.objects.present().exclude(retention_days=None):
        deleted += _delete_expired(base)
    if deleted:
        log.info("retention deleted %d documents", deleted)
    if conversations_expire(effective_environment().conversation_retention_days):
        orphaned_files_delete()
        scrub()
    return deleted


def purge_conversations() -> int:
    """Delete expired conversations, and copies of deleted ones that can no longer be restored, with their
    files; return how many."""
    count = deleted_conversations_purge() + expired_conversations_delete()
    orphaned_files_delete()
    if count:
        scrub()
    return count


def _delete_expired(base: KnowledgeBase) -> int:
    deleted = 0
    for document in find_expired(base, base.retention_days or 0).order_by("created_at")[:BATCH_SIZE]:
        try:
            document_delete(document=document, principal=None)
        except NotFound:  # another process was faster
            continue
        deleted += 1
    return deleted
