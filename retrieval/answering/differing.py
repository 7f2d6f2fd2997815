"""The remark that documents differ: with any model, in our own words, with a marker for each side."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cairn.text import visible
from retrieval.answering.conflicts import Conflict, conflicts
from retrieval.answering.drafting import Draft
from retrieval.answering.extractive import escaped
from retrieval.answering.lexicon import Language
from retrieval.answering.support import Ground
from retrieval.answering.wording import say
from retrieval.dating import dating
from retrieval.types import Hit

LONGEST_TITLE = 80


@dataclass(frozen=True, slots=True)
class Remark:
    """`wording` makes the sentence from the markers of the grounds."""

    wording: Callable[[Sequence[str]], str]
    grounds: tuple[Ground, ...]


def differences(question: str, draft: Draft, hits: Sequence[Hit], language: Language) -> list[Remark]:
    """What other hits say against the draft's kept sentences."""
    shown = list(_grounds(draft, hits))
    return [_remark(conflict, language) for conflict in conflicts(question, shown, hits)]


def _grounds(draft: Draft, hits: Sequence[Hit]) -> Iterator[Ground]:
    by_chunk = {hit.chunk: hit for hit in hits}
    kept = {number for sentence in draft.sentences if sentence.supported for number in sentence.markers}
    for citation in draft.citations:
        if citation.marker in kept and citation.chunk in by_chunk:
            yield Ground(by_chunk[citation.chunk], citation.quote)


def _remark(conflict: Conflict, language: Language) -> Remark:
    first, second = conflict.first, conflict.second

    def wording(markers: Sequence[str]) -> str:
        if conflict.said is None:
            sides = say(
                "differ_denial", language, title=_title(first.hit), dated=_dated(first.hit, language),
                marker=markers[0], other_title=_title(second.hit),
                other_dated=_dated(second.hit, language), other_marker=markers[1],
            )  # fmt: skip
        else:
            both = zip((first, second), conflict.said, markers, strict=True)
            sides = ", ".join(_side(ground.hit, figure, marker, language) for ground, figure, marker in both)
        return say("differ", language, sides=sides)

    return Remark(wording, (first, second))


def _side(hit: Hit, figure: str, marker: str, language: Language) -> str:
    return say(
        "differ_figure", language, title=_title(hit), dated=_dated(hit, language), figure=escaped(figure),
        marker=marker,
    )  # fmt: skip


def _title(hit: Hit) -> str:
    title = " ".join(visible(hit.title).split())
    return escaped(title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…")


def _dated(hit: Hit, language: Language) -> str:
    found = dating(hit)
    return say(f"dated_{found.basis}", language, date=found.value)
