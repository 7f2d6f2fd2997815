"""Texts of several jobs in one stream to the encoder."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cairn.errors import Unavailable
from cairn.inference.protocols import Batching, Vectors
from ingestion.indexing.embedding_batcher import Batcher, batcher, close_batcher, has_waiting_texts
from ingestion.parse.parser_pool import close_parsers, parser_pool
from tests.fakes import FakeEmbedder

SHORT, LONG = "one two", " ".join(["word"] * 100)


class HeldEmbedder(FakeEmbedder):
    """Each call waits until the test lets it go, and is written down."""

    def __init__(self, *, batching: Batching) -> None:
        super().__init__()
        self.batching = batching
        self.calls: list[list[str]] = []
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.poison: str | None = None

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        self.calls.append(list(texts))
        self.entered.release()
        assert self.gate.wait(30)
        if self.poison in texts:
            raise ValueError("a text that the encoder cannot take")
        return super().embed_documents(texts)


@pytest.fixture
def embedder() -> HeldEmbedder:
    return HeldEmbedder(batching=Batching(texts=4, tokens=400, at_once=1))


@pytest.fixture
def shared(embedder: HeldEmbedder) -> Iterator[Batcher]:
    made = Batcher(embedder)
    yield made
    embedder.gate.set()
    made.close()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def tokens(embedder: FakeEmbedder, texts: Sequence[str]) -> list[int]:
    return embedder.count_tokens(texts)


Ask = Callable[..., Vectors]


@pytest.fixture
def ask(shared: Batcher, embedder: HeldEmbedder) -> Ask:
    def embed(*texts: str, **options: object) -> Vectors:
        return shared.embed(texts, tokens=tokens(embedder, texts), **options)  # type: ignore[arg-type]

    return embed


def waiting(shared: Batcher, count: int) -> None:
    """Wait until that many texts are queued for the encoder."""
    while shared.waiting < count:
        threading.Event().wait(0.01)


def test_each_text_gets_its_own_vector(ask: Ask, embedder: HeldEmbedder) -> None:
    embedder.gate.set()
    texts = [f"text {number} " + "more " * (number % 7) for number in range(40)]
    found = ask(*texts)
    assert np.allclose(found, np.stack([embedder.embed_query(text) for text in texts]))


def test_empty_batch_returns_no_vectors(ask: Ask, embedder: HeldEmbedder) -> None:
    assert ask().shape == (0, embedder.dimension)
    assert embedder.calls == []


def test_jobs_share_batches_of_like_length(
    ask: Ask, shared: Batcher, embedder: HeldEmbedder, threads: ThreadPoolExecutor
) -> None:
    first = threads.submit(ask, "first")
    embedder.entered.acquire()
    jobs = [threads.submit(ask, f"{SHORT} {name}", f"{LONG} {name}") for name in "ab"]
    waiting(shared, 4)
    embedder.gate.set()
    for job in (first, *jobs):
        job.result(30)
    assert sorted(sorted(len(text) for text in call) for call in embedder.calls[1:]) == [
        [len(f"{SHORT} a")] * 2,
        [len(f"{LONG} a")] * 2,
    ]


def test_batch_stays_within_encoder_limits(ask: Ask, embedder: HeldEmbedder) -> None:
    embedder.gate.set()
    ask(*(f"{LONG} {number}" for number in range(9)), *(f"{SHORT} {number}" for number in range(9)))
    for call in embedder.calls:
        assert len(call) <= 4
        assert max(tokens(embedder, call)) * len(call) <= 400


def test_urgent_texts_are_embedded_first(
    ask: Ask, shared: Batcher, embedder: HeldEmbedder, threads: ThreadPoolExecutor
) -> None:
    first = threads.submit(ask, "first")
    embedder.entered.acquire()
    bulk = threads.submit(ask, *(f"bulk {number}" for number in range(8)))
    waiting(shared, 8)
    urgent = threads.submit(ask, "urgent", urgent=True)
    waiting(shared, 9)
    embedder.gate.set()
    for job in (first, bulk, urgent):
        job.result(30)
    assert embedder.calls[1] == ["urgent"]


def test_small_job_does_not_wait_for_a_large_one(
    ask: Ask, shared: Batcher, embedder: HeldEmbedder, threads: ThreadPoolExecutor
) -> None:
    """They take turns, although the small job's text differs from all others in length."""
    first = threads.submit(ask, "first")
    embedder.entered.acquire()
    large = threads.submit(ask, *(f"large {number}" for number in range(40)))
    waiting(shared, 40)
    small = threads.submit(ask, LONG)
    waiting(shared, 41)
    embedder.gate.set()
    for job in (first, large, small):
        job.result(30)
    assert any(LONG in call for call in embedder.calls[1:4])


def test_cancelled_job_removes_its_texts(
    ask: Ask, shared: Batcher, embedder: HeldEmbedder, threads: ThreadPoolExecutor
) -> None:
    class Cancelled(Exception):
        pass

    def watch(done: int) -> None:
        if len(embedder.calls):
            raise Cancelled

    first = threads.submit(ask, "first")
    embedder.entered.acquire()
    with pytest.raises(Cancelled):
        ask(*(f"unwanted {number}" for number in range(6)), watch=watch)
    embedder.gate.set()
    first.result(30)
    assert ask("next").shape == (1, embedder.dimension)
    assert not any("unwanted" in text for call in embedder.calls for text in call)


def test_bad_text_fails_only_its_own_job(
    ask: Ask, shared: Batcher, embedder: HeldEmbedder, threads: ThreadPoolExecutor
) -> None:
    embedder.poison = "bad text"
    first = threads.submit(ask, "first")
    embedder.entered.acquire()
    bad, good = threads.submit(ask, "bad text"), threads.submit(ask, "good text")
    waiting(shared, 2)
    embedder.gate.set()
    first.result(30)
    with pytest.raises(ValueError, match="cannot take"):
        bad.result(30)
    assert good.result(30).shape == (1, embedder.dimension)


def test_unavailable_model_fails_all_waiting_jobs(
    ask: Ask, embedder: HeldEmbedder, threads: ThreadPoolExecutor
) -> None:
    embedder.broken = True
    embedder.gate.set()
    for job in [threads.submit(ask, f"text {number}") for number in range(3)]:
        with pytest.raises(Unavailable):
            job.result(30)


def test_closing_releases_waiting_jobs(
    ask: Ask, shared: Batcher, embedder: HeldEmbedder, threads: ThreadPoolExecutor
) -> None:
    jobs = [threads.submit(ask, f"text {number}") for number in range(5)]
    embedder.entered.acquire()
    embedder.gate.set()
    shared.close()
    for job in jobs:
        assert job.exception(30) is None or isinstance(job.exception(), Unavailable)
    with pytest.raises(Unavailable):
        ask("late")


def test_parser_pool_knows_whether_texts_wait_for_the_encoder(
    embedder: HeldEmbedder, threads: ThreadPoolExecutor
) -> None:
    used = batcher(embedder)
    try:
        assert not has_waiting_texts()
        asked = [threads.submit(used.embed, ["one"], tokens=[2])]
        embedder.entered.acquire()
        assert not has_waiting_texts()
        asked.append(threads.submit(used.embed, ["two"], tokens=[2]))
        waiting(used, 1)
        assert has_waiting_texts()
        assert parser_pool()._parsers._backlog is has_waiting_texts
        embedder.gate.set()
        assert all(len(each.result(30)) == 1 for each in asked)
        assert not has_waiting_texts()
    finally:
        embedder.gate.set()
        close_parsers()
        close_batcher()
    assert not has_waiting_texts()


def test_other_embedder_gets_another_batcher() -> None:
    one, other = FakeEmbedder(), FakeEmbedder()
    before = batcher(one)
    assert batcher(one) is before
    assert batcher(other) is not before
    with pytest.raises(Unavailable):
        before.embed(["text"], tokens=[1])
    close_batcher()
