"""What of a folder a knowledge base has already, for whoever wants to send the changes only."""

from django.db.models import QuerySet
from django.db.models.functions import Left

from cairn.access.rules import documents_for
from cairn.access.scope import Principal
from cairn.errors import Rejection
from cairn.library.models import Document, DocumentVersion, KnowledgeBase, VersionState

WORTH_ANOTHER_TRY = {
    Rejection.CANCELLED,
    Rejection.EMBEDDING_FAILED,
    Rejection.INDEX_UNAVAILABLE,
    Rejection.PARSER_CRASHED,
    Rejection.TIME_LIMIT,
    Rejection.MEMORY_LIMIT,
}
"""Failures that are not the file's own fault: the same bytes sent again are tried again."""


def worth_another_try(version: DocumentVersion) -> bool:
    return version.state == VersionState.FAILED and version.error_code in WORTH_ANOTHER_TRY


def sources_under(principal: Principal, base: KnowledgeBase, under: str) -> "QuerySet[Document]":
    """Documents whose source begins like that, upper and lower case told apart; no parts of others."""
    rows = documents_for(principal).filter(knowledge_base=base, parent=None).select_related("latest_version")
    return rows.annotate(head=Left("source_key", len(under))).filter(head=under) if under else rows
