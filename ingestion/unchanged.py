"""Vectors of passages that the version which answers now has, too: they are taken over, not made again."""

import logging
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from cairn.errors import Unavailable
from cairn.inference.protocols import Vectors
from cairn.library.models import Chunk, DocumentVersion
from retrieval.index.protocol import VectorIndex

log = logging.getLogger(__name__)

_AT_ONCE: Final = 64  # points asked for in one call: an index in this process holds the GIL meanwhile


def vectors_there(
    version: DocumentVersion, chunks: Sequence[Chunk], index: VectorIndex
) -> dict[UUID, Vectors]:
    """By chunk, of those that the answering version of the document has with the same text and context.

    Rows and points of a version that answers belong together. Of one that failed they may not, so it is
    not asked.
    """
    answering = version.document.active_version_id
    if answering is None or answering == version.id:
        return {}
    rows = Chunk.objects.filter(version=answering).values_list("context", "sha256", "id")
    there = {(context, sha256): earlier for context, sha256, earlier in rows}
    earlier = {chunk.id: there[_said(chunk)] for chunk in chunks if _said(chunk) in there}
    try:
        found = _vectors(list(set(earlier.values())), index)
    except Unavailable as error:  # what writes the points says so
        log.warning("vectors of version %s not read: %s", answering, error)
        return {}
    return {chunk: found[point] for chunk, point in earlier.items() if point in found}


def _said(chunk: Chunk) -> tuple[str, str]:
    return chunk.context, chunk.sha256


def _vectors(points: Sequence[UUID], index: VectorIndex) -> dict[UUID, Vectors]:
    found: dict[UUID, Vectors] = {}
    for start in range(0, len(points), _AT_ONCE):
        found |= index.vectors(points[start : start + _AT_ONCE])
    return found
