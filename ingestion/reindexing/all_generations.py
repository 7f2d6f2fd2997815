"""Erase documents from every generation of the index, so that none can bring them back."""

from collections.abc import Iterator
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now

from cairn.errors import Unavailable
from retrieval.index.generations import open_indexes
from retrieval.index.protocol import VectorIndex
from retrieval.models import GenerationState, IndexedVersion, IndexGeneration


class AllGenerations:
    """The active index and those being built, ready or retired.

    Raises Unavailable while one of them cannot be written.
    """

    def __init__(self, answering: VectorIndex) -> None:
        self._answering = answering

    def count(self, *, document: UUID) -> int:
        return sum(index.count(document=document) for index in self._indexes())

    def delete_document(self, document: UUID) -> None:
        _wait_for_others(document)
        for index in self._indexes():
            index.delete_document(document)
        IndexedVersion.objects.filter(document=document).delete()

    def _indexes(self) -> Iterator[VectorIndex]:
        yield self._answering
        for generation in others().exclude(dimension=0):  # which have no index yet
            yield open_indexes.of(generation)


def others() -> "QuerySet[IndexGeneration]":
    return IndexGeneration.objects.exclude(state__in=(GenerationState.ACTIVE, GenerationState.REMOVING))


def _wait_for_others(document: UUID) -> None:
    """Raise Unavailable while another process may write the document.

    The row is already marked as deleted: once a running write is over, no other follows.
    """
    if IndexGeneration.objects.filter(writing=document, lease_until__gte=Now()).exists():
        raise Unavailable("This document is being written to another index.")
    if IndexGeneration.objects.filter(state=GenerationState.REMOVING).exists():
        raise Unavailable("An index that may contain this document is being removed.")
