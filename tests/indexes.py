"""Indexes in a folder of the test's own, or on a server, with everything that Cairn does to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db.models import F

from cairn.inference import registry
from cairn.inference.protocols import Embedder
from cairn.settings import environment
from ingestion.erasure.receipts import receipts_close
from retrieval.index import backends, qdrant_server_backend
from retrieval.index.generations import close_index, open_indexes
from retrieval.models import IndexGeneration


@contextmanager
def own_indexes(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *, embedder: Embedder, url: str | None = None
) -> Iterator[None]:
    """Removes every place that a generation names in the end, which counts on a server."""
    own = environment().model_copy(update={"data_dir": folder, "qdrant_url": url})
    for module in (backends, qdrant_server_backend):
        monkeypatch.setattr(module, "environment", lambda: own)
    close_index()
    with registry.use(embedder=embedder):
        yield
        for row in IndexGeneration.objects.all():
            open_indexes.close(row.id)
            for place in filter(None, (row.name, row.place, row.next_place, row.old_place)):
                backends.index_backend().remove(place)
    close_index()


def as_if_rewritten() -> None:
    """Mark the index as rewritten, for a test whose index belongs to no generation."""
    IndexGeneration.objects.update(rewritten=F("remains"))
    receipts_close()
