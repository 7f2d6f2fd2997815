import threading
from collections.abc import Iterator, Sequence

import pytest

from cairn.errors import Unavailable
from cairn.inference.reranking import deadline
from cairn.inference.reranking.deadline import MAX_LATE_QUERIES, MAX_QUERY_CHARACTERS, TimelyReranker

NEVER = 60.0


class Lengths:
    """Scores by length, or by `answers`, one for a call. While `gate` is shut it takes for ever."""

    name, batch_texts, max_texts, languages = "lengths", 4, 100, None

    def __init__(self, at_once: int = 1) -> None:
        self.at_once = at_once
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Semaphore(0)
        self.calls: list[tuple[str, tuple[str, ...], float]] = []
        self.answers: list[list[float] | Exception] = []

    def score(self, query: str, texts: Sequence[str], *, seconds: float) -> list[float]:
        self.calls.append((query, tuple(texts), seconds))
        self.begun.release()
        assert self.gate.wait(NEVER)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return [float(len(text)) for text in texts]

    def close(self) -> None:
        self.gate.set()


def gives_up(reranker: TimelyReranker) -> None:
    with pytest.raises(Unavailable):
        reranker.scores("query", ["a"])


@pytest.fixture
def lengths() -> Lengths:
    return Lengths()


@pytest.fixture
def patient(lengths: Lengths) -> Iterator[TimelyReranker]:
    reranker = TimelyReranker(lengths, seconds=NEVER)
    yield reranker
    reranker.close()


@pytest.fixture
def hasty(lengths: Lengths) -> Iterator[TimelyReranker]:
    reranker = TimelyReranker(lengths, seconds=0.05)
    yield reranker
    reranker.close()


def test_texts_are_scored_in_batches_and_returned_in_order(lengths: Lengths, patient: TimelyReranker) -> None:
    texts = ["x" * n for n in range(10)]
    assert patient.scores("query", texts) == [float(n) for n in range(10)]
    assert [len(batch) for _, batch, _ in lengths.calls] == [4, 4, 2]
    assert all(0 < seconds <= NEVER for _, _, seconds in lengths.calls)
    assert patient.scores("query", []) == []


def test_overlong_query_is_truncated(lengths: Lengths, patient: TimelyReranker) -> None:
    patient.scores("x" * 100_000, ["a"])
    assert len(lengths.calls[0][0]) == MAX_QUERY_CHARACTERS


@pytest.mark.parametrize("answer", [[1.0], [1.0, 2.0, 3.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_incomplete_or_invalid_scores_are_rejected(
    lengths: Lengths, patient: TimelyReranker, answer: list[float]
) -> None:
    lengths.answers = [answer]
    with pytest.raises(Unavailable, match="did not give each text a score"):
        patient.scores("query", ["a", "b"])


def test_late_query_returns_nothing_and_stops_at_its_next_batch(
    lengths: Lengths, hasty: TimelyReranker
) -> None:
    lengths.gate.clear()
    with pytest.raises(Unavailable, match=r"longer than 0\.05 s"):
        hasty.scores("query", ["a"] * 12)
    lengths.gate.set()
    hasty._threads.shutdown(wait=True)
    assert len(lengths.calls) == 1


def test_queries_queued_behind_a_late_one_leave_no_thread_or_task(
    lengths: Lengths, hasty: TimelyReranker
) -> None:
    """However many ask: one thread, and nothing in its queue."""
    lengths.gate.clear()
    askers = [threading.Thread(target=gives_up, args=(hasty,)) for _ in range(5)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(NEVER)
    assert len(hasty._threads._threads) == 1
    assert hasty._threads._work_queue.qsize() == 0
    lengths.gate.set()
    hasty._threads.shutdown(wait=True)
    assert len(lengths.calls) == 1


def test_timeout_raised_by_the_scorer_is_unavailable(lengths: Lengths, patient: TimelyReranker) -> None:
    lengths.answers = [TimeoutError()]
    with pytest.raises(Unavailable, match="took longer"):
        patient.scores("query", ["a"])
    assert patient.scores("query", ["ab"]) == [2.0]


def test_failed_reranker_is_not_called_for_a_while(
    lengths: Lengths, patient: TimelyReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths.answers = [Unavailable("refused")]
    for _ in range(3):
        with pytest.raises(Unavailable, match="refused"):
            patient.scores("query", ["a"])
    assert len(lengths.calls) == 1
    monkeypatch.setattr(deadline.time, "monotonic", lambda: 1e12)
    assert patient.scores("query", ["ab"]) == [2.0]


def test_only_consecutive_late_queries_count_as_a_failure(lengths: Lengths, patient: TimelyReranker) -> None:
    for answers in ([TimeoutError()] * (MAX_LATE_QUERIES - 1) + [[1.0]], [TimeoutError()] * MAX_LATE_QUERIES):
        lengths.answers = list(answers)
        for answer in answers:
            if isinstance(answer, Exception):
                gives_up(patient)
            else:
                patient.scores("query", ["a"])
    asked = len(lengths.calls)
    gives_up(patient)
    assert len(lengths.calls) == asked


def test_several_askers_share_the_threads() -> None:
    lengths = Lengths(at_once=2)
    reranker = TimelyReranker(lengths, seconds=NEVER)
    lengths.gate.clear()
    results: list[list[float]] = []
    askers = [
        threading.Thread(target=lambda: results.append(reranker.scores("q", ["abc"]))) for _ in range(4)
    ]
    for asker in askers:
        asker.start()
    assert lengths.begun.acquire(timeout=NEVER)
    assert lengths.begun.acquire(timeout=NEVER)
    assert len(lengths.calls) == 2
    lengths.gate.set()
    for asker in askers:
        asker.join(NEVER)
    assert results == [[3.0]] * 4
    reranker.close()
