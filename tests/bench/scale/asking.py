"""Search of an index that is there: `python -m tests.bench.scale.asking NAME CHUNKS QUESTIONS`.

Writes an `Asked` as JSON.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final, Self, TypeVar

import psutil

from cairn.access.scope import Scope
from retrieval.index.backends import index_backend
from retrieval.index.protocol import Candidates, Filters, Sparse, VectorIndex
from tests.bench.scale.points import BASES, DIMENSION, Question, asker, questions

READABLE: Final = (1, 10, BASES)  # knowledge bases that the asker may read
CANDIDATES: Final = 50  # as search asks for
NEAREST: Final = 10
WARM_UP: Final = 20
_T = TypeVar("_T")
_NO_WORDS: Final = Sparse((), ())


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of a process. `anonymous`: what the system cannot drop and read again from a file."""

    resident: int
    anonymous: int

    @classmethod
    def of(cls, process: psutil.Process) -> Self:
        info = process.memory_info()
        return cls(info.rss, info.rss - info.shared)

    def __sub__(self, other: Self) -> Self:
        return type(self)(self.resident - other.resident, self.anonymous - other.anonymous)


@dataclass(frozen=True, slots=True)
class Asked:
    """Results by the number of readable knowledge bases: milliseconds of each hybrid query and each dense
    one, and the ids that the dense one found, nearest first."""

    opened_seconds: float
    before: Memory
    opened: Memory
    searched: Memory
    hybrid_ms: dict[int, list[float]]
    dense_ms: dict[int, list[float]]
    nearest: dict[int, list[list[str]]]

    @classmethod
    def read(cls, text: str) -> Self:
        raw = json.loads(text)
        return cls(
            opened_seconds=raw["opened_seconds"],
            before=Memory(**raw["before"]),
            opened=Memory(**raw["opened"]),
            searched=Memory(**raw["searched"]),
            hybrid_ms=_by_number(raw["hybrid_ms"]),
            dense_ms=_by_number(raw["dense_ms"]),
            nearest=_by_number(raw["nearest"]),
        )


def _by_number(raw: Mapping[str, _T]) -> dict[int, _T]:
    """JSON has no other keys than texts."""
    return {int(number): each for number, each in raw.items()}


def asked(name: str, chunks: int, count: int) -> Asked:
    scopes = {readable: asker(readable) for readable in READABLE}
    to_ask = list(questions(chunks, WARM_UP + count))
    wordless = [replace(each, sparse=_NO_WORDS) for each in to_ask]
    process = psutil.Process()
    before, began = Memory.of(process), time.perf_counter()
    index = index_backend().open(name, DIMENSION)
    opened_seconds, opened = time.perf_counter() - began, Memory.of(process)
    try:
        hybrid = {readable: _searched(index, scope, to_ask) for readable, scope in scopes.items()}
        dense = {readable: _searched(index, scope, wordless) for readable, scope in scopes.items()}
        searched = Memory.of(process)
    finally:
        index.close()
    return Asked(
        opened_seconds,
        before,
        opened,
        searched,
        hybrid_ms={readable: _milliseconds(each) for readable, each in hybrid.items()},
        dense_ms={readable: _milliseconds(each) for readable, each in dense.items()},
        nearest={readable: [_nearest(found) for found, _ in each] for readable, each in dense.items()},
    )


def _searched(index: VectorIndex, scope: Scope, to_ask: Sequence[Question]) -> list[tuple[Candidates, float]]:
    """Return the hits of each question and its milliseconds, without the warm-up."""
    done = []
    for question in to_ask:
        began = time.perf_counter()
        found = index.query(question.dense, question.sparse, scope=scope, filters=Filters(), limit=CANDIDATES)
        done.append((found, (time.perf_counter() - began) * 1000))
    return done[WARM_UP:]


def _milliseconds(done: Sequence[tuple[Candidates, float]]) -> list[float]:
    return [milliseconds for _, milliseconds in done]


def _nearest(found: Candidates) -> list[str]:
    return [str(each.id) for each in found.dense[:NEAREST]]


def main(name: str, chunks: int, count: int) -> None:
    sys.stdout.write(json.dumps(asdict(asked(name, chunks, count))))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
