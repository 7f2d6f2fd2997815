"""Reranking with a deadline: all scores in time, or none."""

import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from cairn.errors import CairnError, Unavailable

PAUSE_SECONDS = 10.0  # for which a reranker that failed isn't called
MAX_LATE_QUERIES = 3  # queries in a row that take too long, after which it counts as failed
MAX_QUERY_CHARACTERS = 1_000  # characters; a longer one would push the passage out of the model's window
MAX_TEXT_CHARACTERS = 8_000
MAX_TEXTS = 100
MAX_TEXTS_ON_CPU = 16  # of 256 tokens: about a second of CPU time with 12 small layers


class Scorer(Protocol):
    """Scores at most `batch_texts` texts in a call; `at_once` threads may call it together.

    `max_texts` and `languages` as in Reranker.
    """

    @property
    def name(self) -> str: ...

    @property
    def max_texts(self) -> int: ...

    @property
    def languages(self) -> frozenset[str] | None: ...

    @property
    def batch_texts(self) -> int: ...

    @property
    def at_once(self) -> int: ...

    def score(self, query: str, texts: Sequence[str], *, seconds: float) -> list[float]:
        """Score in the order of the texts. May raise TimeoutError after about `seconds`."""

    def close(self) -> None: ...


class TimelyReranker:
    """A Reranker. The caller waits `seconds` at most, for a free thread as well as for the scores.

    There are only `at_once` threads, and nothing is queued for them: a thread that overruns ends with its
    batch, and a caller that times out leaves no work behind.
    """

    def __init__(self, scorer: Scorer, *, seconds: float) -> None:
        self._scorer = scorer
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(scorer.at_once, thread_name_prefix="reranker")
        self._idle = threading.Semaphore(scorer.at_once)
        self._breaker = _CircuitBreaker()

    @property
    def name(self) -> str:
        return self._scorer.name

    @property
    def max_texts(self) -> int:
        return self._scorer.max_texts

    @property
    def languages(self) -> frozenset[str] | None:
        return self._scorer.languages

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        self._breaker.raise_if_open()
        try:
            scores = self._wait_for_scores(
                query[:MAX_QUERY_CHARACTERS], texts, time.monotonic() + self._seconds
            )
        except TimeoutError:
            late = Unavailable(f"The reranker {self.name} took longer than {self._seconds:g} s")
            self._breaker.record_failure(late, open_at=MAX_LATE_QUERIES)
            raise late from None
        except CairnError as error:
            self._breaker.record_failure(error, open_at=1)
            raise
        self._breaker.reset()
        return scores

    def probe(self) -> None:
        """Score one text. Raises the model's errors."""
        self.scores("probe", ["probe"])

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._scorer.close()

    def _wait_for_scores(self, query: str, texts: Sequence[str], until: float) -> list[float]:
        if not self._idle.acquire(timeout=self._seconds):
            raise TimeoutError
        future = self._threads.submit(self._score_batches, query, texts, until)
        future.add_done_callback(lambda _: self._idle.release())
        return future.result(until - time.monotonic())

    def _score_batches(self, query: str, texts: Sequence[str], until: float) -> list[float]:
        scores: list[float] = []
        size = self._scorer.batch_texts
        for start in range(0, len(texts), size):
            if (left := until - time.monotonic()) <= 0:
                raise TimeoutError
            batch = [text[:MAX_TEXT_CHARACTERS] for text in texts[start : start + size]]
            scores += self._sound(self._scorer.score(query, batch, seconds=left), len(batch))
        return scores

    def _sound(self, scores: list[float], count: int) -> list[float]:
        if len(scores) != count or not all(map(math.isfinite, scores)):
            raise Unavailable(f"The reranker {self.name} did not give each text a score")
        return scores


class _CircuitBreaker:
    """Opens after repeated failures: until the pause ends, callers get the last error instead of waiting."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._ends = 0.0
        self._error = CairnError()

    def record_failure(self, error: CairnError, *, open_at: int) -> None:
        with self._lock:
            self._failures, self._error = self._failures + 1, error
            if self._failures >= open_at:
                self._ends = time.monotonic() + PAUSE_SECONDS

    def reset(self) -> None:
        with self._lock:
            self._failures = 0

    def raise_if_open(self) -> None:
        with self._lock:
            error, is_open = self._error, time.monotonic() < self._ends
        if is_open:
            raise Unavailable(error.message)
