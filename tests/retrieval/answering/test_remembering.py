import gc
from functools import partial

import numpy as np
import pytest
from cachetools import TTLCache

from cairn.inference.embedding import cache as embedding_cache
from cairn.inference.embedding.cache import CachingEmbedder
from tests.fakes import FakeEmbedder


def test_word_is_embedded_once_for_many_questions() -> None:
    embedder = FakeEmbedder()
    first = CachingEmbedder(embedder).embed_documents(["leave", "shuttle"])
    again = CachingEmbedder(embedder).embed_documents(["shuttle", "travel", "leave"])
    assert embedder.batches == [2, 1]
    assert np.array_equal(again[[2, 0]], first)
    assert np.array_equal(again[1], embedder.embed_query("travel"))


SENTENCES = ["Leave is 20 days.", "x" * 33]


def test_document_text_is_cached_for_subsequent_questions() -> None:
    embedder = FakeEmbedder()
    first = CachingEmbedder(embedder).embed_documents(SENTENCES)
    assert np.array_equal(CachingEmbedder(embedder).embed_documents(SENTENCES), first)
    assert embedder.batches == [2]


def test_cached_document_text_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_cache, "TEXT_TTL_SECONDS", 0.0)
    embedder = FakeEmbedder()
    for _ in range(2):
        CachingEmbedder(embedder).embed_documents([*SENTENCES, "leave"])
    assert embedder.batches == [3, 2]


def test_frequently_used_text_stays_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    """If all expired at once, everything would be embedded again at that moment, for all users at once."""
    now = 0.0
    monkeypatch.setattr(embedding_cache, "TTLCache", partial(TTLCache, timer=lambda: now))
    embedder = FakeEmbedder()
    for now in (0.0, 400.0, 800.0):  # noqa: B007 the clock reads it
        CachingEmbedder(embedder).embed_documents(SENTENCES)
    assert embedder.batches == [2]
    now = 1401.0
    CachingEmbedder(embedder).embed_documents(SENTENCES)
    assert embedder.batches == [2, 2]


def test_cache_contains_no_document_text() -> None:
    embedder = FakeEmbedder()
    CachingEmbedder(embedder).embed_documents(SENTENCES)
    caches = [each for each in gc.get_objects() if issubclass(type(each), TTLCache)]  # asks no lazy object
    keys = [key for cache in caches for key in cache]
    assert keys
    assert all(isinstance(key, bytes) and len(key) == 16 for key in keys)


def test_embedders_have_separate_caches() -> None:
    small, large = FakeEmbedder(dimension=4), FakeEmbedder(dimension=8)
    assert CachingEmbedder(small).embed_documents(["leave"]).shape == (1, 4)
    assert CachingEmbedder(large).embed_documents(["leave"]).shape == (1, 8)


def test_recently_used_words_stay_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_cache, "MAX_CACHED_WORDS", 2)
    embedder = FakeEmbedder()
    for word in ("one", "two", "one", "three", "one", "two"):
        CachingEmbedder(embedder).embed_documents([word])
    assert len(embedder.batches) == 4
