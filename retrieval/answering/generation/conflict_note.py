"""Notes on contradicting documents, in Cairn's own words, with a citation for each side."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cairn.hidden_characters import visible
from retrieval.answering.generation.extractive import escape_markdown
from retrieval.answering.generation.sentence_gate import SentenceGate
from retrieval.answering.grounding.check import Ground
from retrieval.answering.grounding.conflicts import Conflict, find_conflicts
from retrieval.answering.text.lexicon import Language
from retrieval.answering.text.messages import render_message
from retrieval.passages.dates import document_date
from retrieval.types import Hit

MAX_TITLE_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class ConflictNote:
    """`render` builds the sentence from the markers of the grounds."""

    render: Callable[[Sequence[str]], str]
    grounds: tuple[Ground, ...]


def conflict_notes(
    question: str, gate: SentenceGate, hits: Sequence[Hit], language: Language
) -> list[ConflictNote]:
    """Return notes on hits that contradict the supported sentences."""
    shown = list(_cited_grounds(gate, hits))
    return [_conflict_note(conflict, language) for conflict in find_conflicts(question, shown, hits)]


def _cited_grounds(gate: SentenceGate, hits: Sequence[Hit]) -> Iterator[Ground]:
    by_chunk = {hit.chunk: hit for hit in hits}
    supported_markers = {
        number for sentence in gate.sentences if sentence.supported for number in sentence.markers
    }
    for citation in gate.citations:
        if citation.marker in supported_markers and citation.chunk in by_chunk:
            yield Ground(by_chunk[citation.chunk], citation.quote)


def _conflict_note(conflict: Conflict, language: Language) -> ConflictNote:
    first, second = conflict.first, conflict.second

    def render(markers: Sequence[str]) -> str:
        if conflict.figures is None:
            sides = render_message(
                "differ_denial", language, title=_title(first.hit), dated=_format_date(first.hit, language),
                marker=markers[0], other_title=_title(second.hit),
                other_dated=_format_date(second.hit, language), other_marker=markers[1],
            )  # fmt: skip
        else:
            both = zip((first, second), conflict.figures, markers, strict=True)
            sides = ", ".join(_side(ground.hit, figure, marker, language) for ground, figure, marker in both)
        return render_message("differ", language, sides=sides)

    return ConflictNote(render, (first, second))


def _side(hit: Hit, figure: str, marker: str, language: Language) -> str:
    return render_message(
        "differ_figure", language, title=_title(hit), dated=_format_date(hit, language),
        figure=escape_markdown(figure), marker=marker,
    )  # fmt: skip


def _title(hit: Hit) -> str:
    title = " ".join(visible(hit.title).split())
    return escape_markdown(
        title if len(title) <= MAX_TITLE_CHARACTERS else f"{title[: MAX_TITLE_CHARACTERS - 1]}…"
    )


def _format_date(hit: Hit, language: Language) -> str:
    found = document_date(hit)
    return render_message(f"dated_{found.basis}", language, date=found.value)
