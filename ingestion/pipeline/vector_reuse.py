"""Reuse vectors of chunks that the active version contains as well."""

import logging
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from cairn.errors import Unavailable
from cairn.inference.protocols import Vectors
from cairn.library.models import Chunk, DocumentVersion
from retrieval.index.protocol import VectorIndex

log = logging.getLogger(__name__)

_POINTS_PER_CALL: Final = 64  # points requested per call: an embedded index holds the GIL during a call


def reusable_vectors(
    version: DocumentVersion, chunks: Sequence[Chunk], index: VectorIndex
) -> dict[UUID, Vectors]:
    """Return vectors, by chunk id, of chunks with the same text and context in the active version.

    Rows and points of an active version are consistent. Those of a failed version may not be, so its vectors
    are not used.
    """
    answering = version.document.active_version_id
    if answering is None or answering == version.id:
        return {}
    rows = Chunk.objects.filter(version=answering).values_list("context", "sha256", "id")
    there = {(context, sha256): earlier for context, sha256, earlier in rows}
    earlier = {chunk.id: there[_content_key(chunk)] for chunk in chunks if _content_key(chunk) in there}
    try:
        found = _vectors(list(set(earlier.values())), index)
    except Unavailable as error:  # the writing of the points reports it
        log.warning("cannot read the vectors of version %s: %s", answering, error)
        return {}
    return {chunk: found[point] for chunk, point in earlier.items() if point in found}


def _content_key(chunk: Chunk) -> tuple[str, str]:
    return chunk.context, chunk.sha256


def _vectors(points: Sequence[UUID], index: VectorIndex) -> dict[UUID, Vectors]:
    found: dict[UUID, Vectors] = {}
    for start in range(0, len(points), _POINTS_PER_CALL):
        found |= index.vectors(points[start : start + _POINTS_PER_CALL])
    return found
