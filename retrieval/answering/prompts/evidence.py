"""Numbered passages for the model, built from hits.

The best comes first and the second best last: models read the middle of a long prompt least.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from uuid import UUID

from retrieval.answering.text.sentences import split_sentences
from retrieval.passages.dates import own_date
from retrieval.passages.near_duplicates import Fingerprint
from retrieval.types import Hit

FENCE_TOKENS = 12  # tokens of the number and the quotes around a passage
MIN_PASSAGE_TOKENS = 40  # a cut passage shorter than this is not worth its fence


@dataclass(frozen=True, slots=True)
class Passage:
    """One hit, or neighbouring hits of one document version in reading order.

    `text` is what the model reads: the hits' texts, cut where the budget ended.
    """

    number: int
    hits: tuple[Hit, ...]
    text: str = field(default="")

    @property
    def heading(self) -> str:
        return self.hits[0].heading

    @property
    def label(self) -> str:
        """The heading with the document's own date, if it has one. Claims are not checked against it: the day
        of a date must not support other figures."""
        dated = own_date(self.hits[0])
        return (
            f"{self.heading} ({dated.value})" if dated and dated.value not in self.heading else self.heading
        )


def collect_documents(passages: Sequence[Passage]) -> frozenset[UUID]:
    """Return the documents that the passages come from."""
    return frozenset(hit.document for passage in passages for hit in passage.hits)


def deduplicate(hits: Sequence[Hit]) -> list[Hit]:
    """Drop near-duplicates of better hits. Texts that differ in a figure or name are not duplicates."""
    unique: list[tuple[Hit, Fingerprint]] = []
    for hit in hits:
        fingerprint = Fingerprint(hit.text)
        if hit.text.strip() and not any(
            hit.chunk == other.chunk or fingerprint.matches(same) for other, same in unique
        ):
            unique.append((hit, fingerprint))
    return [hit for hit, _ in unique]


def build_passages(hits: Sequence[Hit], *, budget: int, count_tokens: Callable[[str], int]) -> list[Passage]:
    """Return as many passages as fit the budget, numbered from 1. The best is always included, cut if
    necessary."""
    found: list[Passage] = []
    for group in _group_neighbours(hits):
        passage = _fit(_passage(group, len(found) + 1), budget, count_tokens)
        if passage is None:
            continue
        found.append(passage)
        budget -= _cost(passage, passage.text, count_tokens)
    placed = [*found[:1], *found[2:], *found[1:2]]
    return [replace(passage, number=number) for number, passage in enumerate(placed, 1)]


def _passage(group: Sequence[Hit], number: int) -> Passage:
    return Passage(number, tuple(group), _join_text(group))


def _group_neighbours(hits: Sequence[Hit]) -> list[list[Hit]]:
    """Return runs of adjacent chunks, each at the rank of its best one."""
    rank = {(hit.version, hit.ordinal): at for at, hit in enumerate(hits)}
    groups: list[tuple[int, list[Hit]]] = []
    for _, run in groupby(
        enumerate(sorted(hits, key=lambda hit: (str(hit.version), hit.ordinal))),
        key=lambda pair: (pair[1].version, pair[1].ordinal - pair[0]),
    ):
        members = [hit for _, hit in run]
        groups.append((min(rank[hit.version, hit.ordinal] for hit in members), members))
    return [members for _, members in sorted(groups, key=lambda group: group[0])]


def _join_text(group: Sequence[Hit]) -> str:
    return "\n".join(hit.text.strip() for hit in group)


def _cost(passage: Passage, text: str, count_tokens: Callable[[str], int]) -> int:
    return count_tokens(f"{passage.label}\n{text}") + FENCE_TOKENS


def _fit(passage: Passage, budget: int, count_tokens: Callable[[str], int]) -> Passage | None:
    if _cost(passage, passage.text, count_tokens) <= budget:
        return passage
    room = budget - _cost(passage, "", count_tokens)
    if room < MIN_PASSAGE_TOKENS:
        return None
    text = _cut(passage.text, room, count_tokens)
    return replace(passage, text=text) if text else None


def _cut(text: str, room: int, count_tokens: Callable[[str], int]) -> str:
    """Return the longest beginning that ends with a sentence. Binary search counts tokens only a few
    times."""
    ends = list(_ends(text))
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high + 1) // 2
        if count_tokens(text[: ends[middle - 1]]) <= room:
            low = middle
        else:
            high = middle - 1
    return text[: ends[low - 1]] if low else ""


def _ends(text: str) -> Iterator[int]:
    for unit in split_sentences(text):
        yield unit.end
