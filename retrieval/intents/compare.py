"""Compares two things in a table: a search for each, with the best passages or what the model writes."""

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from cairn.answers import AnswerMode, Intent, Verdict
from retrieval.answering.generation.extractive import escape_markdown, extract_blocks
from retrieval.answering.generation.part_writer import PartWriter
from retrieval.answering.generation.sentence_gate import append_mark, build_citation
from retrieval.answering.generation.state import AnswerBuffer
from retrieval.answering.prompts.evidence import deduplicate
from retrieval.answering.protocols import Judgement
from retrieval.answering.query.decompose import SubQuestion
from retrieval.answering.text.citation_markers import format_markers
from retrieval.answering.text.messages import render_message
from retrieval.intents.composer import Composer, IntentContext
from retrieval.intents.document_lines import shorten
from retrieval.intents.messages import render_terms, render_text
from retrieval.types import AnswerEvent, CheckedSentence, Cited, Delta, Hit, Sources, Started

QUOTES_PER_SIDE: Final = 2
QUOTE_CHARACTERS: Final = 400
NOTHING: Final = "—"
_STRONG: Final = Judgement(answerable=True, strong=True)
_PREFIX: Final = re.compile(r"^[>\s]*(?:[-*]\s+|\d+\.\s+)?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Side:
    """A side of a comparison. `hits` is empty if the documents have nothing about it."""

    name: str
    hits: Sequence[Hit]


def compare(context: IntentContext) -> Iterator[AnswerEvent] | None:
    """Return the events of a comparison. None if the documents have nothing about either side, or if the same
    passage is the best for both, which then is the answer to an ordinary question."""
    sides = [_find_side(context, name) for name in context.request.sides]
    found = [side for side in sides if side.hits]
    if not found or (len(found) == len(sides) and len({side.hits[0].chunk for side in found}) == 1):
        return None
    return _stream(context, sides)


def _find_side(context: IntentContext, name: str) -> _Side:
    hits = deduplicate(context.answer_search(name))
    answerable = context.judge(name, hits).answerable
    return _Side(name, hits if answerable else ())


def _stream(context: IntentContext, sides: Sequence[_Side]) -> Iterator[AnswerEvent]:
    composer, columns, generated = Composer(context), list[list[str]](), False
    composer.run.retrieval_ms = composer.run.elapsed_ms()
    yield Started(context.question, Intent.COMPARE)
    yield Sources(tuple(dict.fromkeys(hit for side in sides for hit in side.hits)))
    for side in sides:
        cells: list[str] = []
        if side.hits and context.generation.writes and composer.run.failure is None:
            cells = yield from _write_cell(composer, side)
            generated = generated or bool(cells)
        if side.hits and not cells and not composer.run.stopped:
            cells = yield from _quote_cells(composer, side)
        columns.append(cells)
    yield from composer.write(_render_table([side.name for side in sides], columns))
    missing = [side.name for side in sides if not side.hits]
    if missing:
        terms = render_terms(missing, context.language)
        yield from composer.write(render_text("compare_missing", context.language, terms=terms))
    yield _finish(composer, missing, generated=generated)


def _write_cell(composer: Composer, side: _Side) -> Generator[AnswerEvent, None, list[str]]:
    """Let the model write about one side; return what is supported, as one cell."""
    main, context = composer.buffer, composer.context
    buffer = AnswerBuffer(citations=main.citations, sentences=main.sentences, markers=main.markers)
    part = SubQuestion(side.name, side.name)
    writer = PartWriter(context.generation, composer.run, buffer, part, side.hits, _STRONG)
    for event in writer.stream():
        if not isinstance(event, Delta):
            yield event
    if not buffer.text:
        return []
    for event in writer.add_quotes_and_notes():
        if not isinstance(event, Delta):
            yield event
    return [" ".join(_PREFIX.sub("", buffer.text).split()).replace("|", "\\|")]


def _quote_cells(composer: Composer, side: _Side) -> Generator[AnswerEvent, None, list[str]]:
    """Quote the best blocks about one side; return a cell for each."""
    generation, cells = composer.context.generation, list[str]()
    extracts = extract_blocks(
        side.name, side.hits, generation.embedder, generation.language, generation.reranker
    )
    for extract in extracts[:QUOTES_PER_SIDE]:
        quote = shorten(extract.quote, QUOTE_CHARACTERS)
        number = composer.mark(extract.hit, quote)
        citation = build_citation(number, extract.hit, quote, generation.locate)
        if all(each.marker != number for each in composer.buffer.citations):
            composer.buffer.citations.append(citation)
            yield Cited(citation)
        text = escape_markdown(" ".join(quote.split()))
        composer.buffer.sentences.append(CheckedSentence(quote, supported=True, markers=(number,)))
        title = escape_markdown(extract.hit.title)
        cells.append(append_mark(f"**{title}:** {text}", format_markers((number,))))
    return cells


def _render_table(names: Sequence[str], columns: Sequence[Sequence[str]]) -> str:
    rows = [
        [escape_markdown(name) for name in names],
        ["---"] * len(names),
        *zip_longest(*columns, fillvalue=NOTHING),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _finish(composer: Composer, missing: Sequence[str], *, generated: bool) -> AnswerEvent:
    language, run = composer.context.language, composer.run
    mode = AnswerMode.GENERATED if generated else AnswerMode.EXTRACTIVE
    dropped = sum(not sentence.supported for sentence in composer.buffer.sentences)
    verdict, reason = Verdict.SUPPORTED, render_message("supported", language)
    if not generated:
        verdict, reason = Verdict.PARTIAL, render_message("quoted", language)
    elif run.stopped or run.failure:
        verdict, reason = (
            Verdict.PARTIAL,
            render_message("stopped" if run.stopped else "broken_off", language),
        )
    elif dropped:
        total = len(composer.buffer.sentences)
        verdict, reason = Verdict.PARTIAL, render_message("dropped", language, count=dropped, total=total)
    if missing:
        terms = render_terms(missing, language)
        missing_text = render_text("compare_missing", language, terms=terms)
        verdict, reason = Verdict.PARTIAL, f"{missing_text} {reason}"
    return composer.finish(verdict, reason, mode, intent=Intent.COMPARE)
