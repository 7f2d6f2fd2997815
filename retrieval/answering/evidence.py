"""From hits to the numbered passages that a model is shown.

The best comes first and the second best last: models read the middle of a long prompt least.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from retrieval.answering.sentences import split
from retrieval.dating import own_date
from retrieval.duplicates import Wording
from retrieval.types import Hit

FENCE_TOKENS = 12  # what the number and the quotes around a passage cost
LEAST_TOKENS = 40  # a cut passage shorter than this is not worth its fence


@dataclass(frozen=True, slots=True)
class Passage:
    """One hit, or neighbouring hits of one document version in reading order.

    `text` is what the model is shown: the hits' texts, cut where the budget ended.
    """

    number: int
    hits: tuple[Hit, ...]
    text: str = field(default="")

    @property
    def heading(self) -> str:
        return " > ".join((self.hits[0].title, *self.hits[0].section))

    @property
    def label(self) -> str:
        """The heading, with the document's own date where it has one. No claim is checked against it: the
        day of a date must not bear out other figures."""
        dated = own_date(self.hits[0])
        return (
            f"{self.heading} ({dated.value})" if dated and dated.value not in self.heading else self.heading
        )


def deduplicated(hits: Sequence[Hit]) -> list[Hit]:
    """Best first; of hits that say the same, the first. What differs in a figure or a name does not."""
    kept: list[tuple[Hit, Wording]] = []
    for hit in hits:
        wording = Wording(hit.text)
        if hit.text.strip() and not any(
            hit.chunk == other.chunk or wording.like(same) for other, same in kept
        ):
            kept.append((hit, wording))
    return [hit for hit, _ in kept]


def passages(hits: Sequence[Hit], *, budget: int, count_tokens: Callable[[str], int]) -> list[Passage]:
    """As many as fit, numbered from 1. The best always gets in, cut if it must be."""
    found: list[Passage] = []
    for group in _neighbours(hits):
        passage = _fitted(_passage(group, len(found) + 1), budget, count_tokens)
        if passage is None:
            continue
        found.append(passage)
        budget -= _cost(passage, passage.text, count_tokens)
    placed = [*found[:1], *found[2:], *found[1:2]]
    return [replace(passage, number=number) for number, passage in enumerate(placed, 1)]


def _passage(group: Sequence[Hit], number: int) -> Passage:
    return Passage(number, tuple(group), _joined_text(group))


def _neighbours(hits: Sequence[Hit]) -> list[list[Hit]]:
    """Runs of adjacent chunks, at the rank of the best of them."""
    rank = {(hit.version, hit.ordinal): at for at, hit in enumerate(hits)}
    groups: list[tuple[int, list[Hit]]] = []
    for _, run in groupby(
        enumerate(sorted(hits, key=lambda hit: (str(hit.version), hit.ordinal))),
        key=lambda pair: (pair[1].version, pair[1].ordinal - pair[0]),
    ):
        members = [hit for _, hit in run]
        groups.append((min(rank[hit.version, hit.ordinal] for hit in members), members))
    return [members for _, members in sorted(groups, key=lambda group: group[0])]


def _joined_text(group: Sequence[Hit]) -> str:
    return "\n".join(hit.text.strip() for hit in group)


def _cost(passage: Passage, text: str, count_tokens: Callable[[str], int]) -> int:
    return count_tokens(f"{passage.label}\n{text}") + FENCE_TOKENS


def _fitted(passage: Passage, budget: int, count_tokens: Callable[[str], int]) -> Passage | None:
    if _cost(passage, passage.text, count_tokens) <= budget:
        return passage
    room = budget - _cost(passage, "", count_tokens)
    if room < LEAST_TOKENS:
        return None
    text = _cut(passage.text, room, count_tokens)
    return replace(passage, text=text) if text else None


def _cut(text: str, room: int, count_tokens: Callable[[str], int]) -> str:
    """The longest beginning that ends with a sentence; counts a few times, not once per sentence."""
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
    for unit in split(text):
        yield unit.end
