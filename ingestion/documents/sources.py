"""Documents of a knowledge base by source path, for clients that upload only changes to a folder."""

from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Left

from cairn.access.permissions import documents_for
from cairn.access.scope import Principal
from cairn.failures import Retry, failure_of
from cairn.library.models import DocumentVersion, KnowledgeBase, VersionState
from ingestion.models import ImportItem, ImportKind


def is_resubmittable(version: DocumentVersion) -> bool:
    """Return whether the version failed, and its bytes are processed again if they are submitted again."""
    return version.state == VersionState.FAILED and failure_of(version.error_code).retry is Retry.AUTOMATIC


def sources_under(principal: Principal, base: KnowledgeBase, under: str) -> "QuerySet[Any]":
    """Top-level documents whose source begins with `under`, compared case-sensitively.

    `imported` is true if the principal uploaded the document in a folder import. Only such a document may be
    deleted when its file is missing from the folder; others merely have a similar path.
    """
    items = ImportItem.objects.filter(
        document=OuterRef("pk"), batch__kind=ImportKind.FOLDER, batch__user=principal.user
    )
    rows = documents_for(principal).filter(knowledge_base=base, parent=None).annotate(imported=Exists(items))
    rows = rows.select_related("latest_version")
    return rows.annotate(head=Left("source_key", len(under))).filter(head=under) if under else rows
