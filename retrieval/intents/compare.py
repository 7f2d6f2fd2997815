"""Compares two things in a table, topic by topic: with quotes, or what the model writes about each."""

import re
from collections.abc import Generator, Iterator, Sequence
from typing import Final

from cairn.answers import AnswerMode, Intent, Verdict
from retrieval.answering.generation.extractive import escape_markdown, escape_quoted_text
from retrieval.answering.generation.part_writer import PartWriter
from retrieval.answering.generation.sentence_gate import append_mark, build_citation
from retrieval.answering.generation.state import AnswerBuffer
from retrieval.answering.protocols import Judgement
from retrieval.answering.query.decompose import SubQuestion
from retrieval.answering.text.citation_markers import format_markers
from retrieval.answering.text.messages import render_message
from retrieval.intents.compared_sides import Side, Topic, find_sides, pair_topics
from retrieval.intents.composer import Composer, IntentContext
from retrieval.intents.messages import render_terms, render_text
from retrieval.types import AnswerEvent, CheckedSentence, Cited, Delta, Sources, Started

NOTHING: Final = "—"
_STRONG: Final = Judgement(answerable=True, strong=True)
_PREFIX: Final = re.compile(r"^[>\s]*(?:[-*]\s+|\d+\.\s+)?", re.MULTILINE)


def compare(context: IntentContext) -> Iterator[AnswerEvent] | None:
    """Return the events of a comparison. None if the documents have nothing about either side, or if the same
    passage is the best for both, which then is the answer to an ordinary question."""
    sides = find_sides(context)
    found = [side for side in sides if side.topics]
    if not found or (len(found) == len(sides) and len({side.topics[0].hit.chunk for side in found}) == 1):
        return None
    return _stream(context, sides)


def _stream(context: IntentContext, sides: Sequence[Side]) -> Iterator[AnswerEvent]:
    composer, generated = Composer(context), False
    first, second = sides
    pairs = pair_topics(first, second, context.generation.embedder)
    composer.run.retrieval_ms = composer.run.elapsed_ms()
    yield Started(context.question, Intent.COMPARE)
    yield Sources(tuple(dict.fromkeys(hit for side in sides for hit in side.hits)))
    if context.generation.writes and not (first.is_document and second.is_document):
        pairs = [(next(iter(first.topics), None), next(iter(second.topics), None))]
    rows = list[list[str]]()
    for pair in pairs:
        if composer.run.stopped:
            break
        row = []
        for side, topic in zip(sides, pair, strict=True):
            cell, is_written = yield from _build_cell(composer, side, topic)
            row.append(cell)
            generated = generated or is_written
        rows.append(row)
    yield from composer.write(_render_table([side.name for side in sides], rows))
    missing = [side.name for side in sides if not side.topics]
    if missing:
        terms = render_terms(missing, context.language)
        yield from composer.write(render_text("compare_missing", context.language, terms=terms))
    yield _finish(composer, missing, generated=generated)


def _build_cell(
    composer: Composer, side: Side, topic: Topic | None
) -> Generator[AnswerEvent, None, tuple[str, bool]]:
    """Return a cell, and whether the model wrote it."""
    if topic is None or composer.run.stopped:
        return NOTHING, False
    text = ""
    if composer.context.generation.writes and composer.run.failure is None:
        text = yield from _write_topic(composer, side, topic)
    is_written = bool(text)
    if not text and not composer.run.stopped:
        text = yield from _quote_topic(composer, topic)
    label = topic.heading if side.is_document else "" if is_written else topic.hit.title
    return f"**{escape_markdown(label)}:** {text}" if label and text else text or NOTHING, is_written


def _write_topic(composer: Composer, side: Side, topic: Topic) -> Generator[AnswerEvent, None, str]:
    """Let the model write about the topic; return what is supported, in one line."""
    main, context = composer.buffer, composer.context
    buffer = AnswerBuffer(citations=main.citations, sentences=main.sentences, markers=main.markers)
    subject = f"{side.name}: {topic.heading}" if topic.heading else side.name
    part = SubQuestion(subject, subject)
    writer = PartWriter(context.generation, composer.run, buffer, part, topic.hits, _STRONG)
    for event in writer.stream():
        if not isinstance(event, Delta):
            yield event
    if not buffer.text:
        return ""
    for event in writer.add_quotes_and_notes():
        if not isinstance(event, Delta):
            yield event
    return " ".join(_PREFIX.sub("", buffer.text).split()).replace("|", "\\|")


def _quote_topic(composer: Composer, topic: Topic) -> Generator[AnswerEvent, None, str]:
    number = composer.mark(topic.hit, topic.quote)
    citation = build_citation(number, topic.hit, topic.quote, composer.context.generation.locate)
    if all(each.marker != number for each in composer.buffer.citations):
        composer.buffer.citations.append(citation)
        yield Cited(citation)
    composer.buffer.sentences.append(CheckedSentence(topic.quote, supported=True, markers=(number,)))
    return append_mark(escape_quoted_text(" ".join(topic.quote.split())), format_markers((number,)))


def _render_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [[escape_markdown(name) for name in names], ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _finish(composer: Composer, missing: Sequence[str], *, generated: bool) -> AnswerEvent:
    language, run = composer.context.language, composer.run
    mode = AnswerMode.GENERATED if generated else AnswerMode.EXTRACTIVE
    dropped = sum(not sentence.supported for sentence in composer.buffer.sentences)
    verdict, reason = Verdict.SUPPORTED, render_message("supported", language)
    if not generated:
        key = "no_model" if run.had_no_model else "quoted"
        verdict, reason = Verdict.PARTIAL, render_message(key, language)
    elif run.stopped or run.failure:
        verdict, reason = (
            Verdict.PARTIAL,
            render_message("stopped" if run.stopped else "broken_off", language),
        )
    elif dropped:
        total = len(composer.buffer.sentences)
        verdict, reason = Verdict.PARTIAL, render_message("dropped", language, count=dropped, total=total)
    if missing:  # the text says which
        verdict = Verdict.PARTIAL
    return composer.finish(verdict, reason, mode, intent=Intent.COMPARE)
