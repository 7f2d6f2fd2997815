"""Embedding models that a request to rebuild the index may name."""

import pytest

from cairn.errors import InvalidInput
from cairn.inference.registry import EmbedderChoice
from ingestion.reindexing import services

CLASS = "acme.embeddings.large"


def test_request_cannot_select_an_embedding_class() -> None:
    with pytest.raises(InvalidInput, match="Only EMBEDDING_MODEL can name a class"):
        services._choice(CLASS)


def test_request_can_select_the_embedding_class_configured_by_the_operator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configured = EmbedderChoice(CLASS, served=False)
    monkeypatch.setattr(services, "configured_embedder", lambda: configured)
    assert services._choice(CLASS) == configured
