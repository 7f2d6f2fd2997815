"""Generation of one part of an answer, from its evidence to checked events."""

from collections.abc import Generator, Iterator, Sequence

from cairn.answers import AnswerMode
from cairn.errors import Unavailable
from cairn.telemetry.context import close_iterator
from cairn.telemetry.metrics import model_failed
from cairn.telemetry.openinference import LLM_MODEL, SpanKind, token_attributes
from cairn.telemetry.tracing import StepWhile
from retrieval.answering.generation.conflict_note import conflict_notes
from retrieval.answering.generation.extractive import Extract, extract_blocks
from retrieval.answering.generation.sentence_gate import SentenceGate
from retrieval.answering.generation.state import AnswerBuffer, GenerationContext, RunState
from retrieval.answering.generation.verdict import PartResult, build_part_result, is_all_repeated
from retrieval.answering.grounding.check import SentenceChecker
from retrieval.answering.prompts.evidence import Passage, build_passages
from retrieval.answering.prompts.prompt import load_prompt
from retrieval.answering.protocols import ChatModel, Judgement
from retrieval.answering.query.decompose import SubQuestion
from retrieval.answering.text.sentences import SentenceStream
from retrieval.types import AnswerEvent, Hit, Prompted, Waiting

TEMPLATE_TOKENS = 64  # what a chat template puts around the turns
MIN_EVIDENCE_TOKENS = 64
MAX_EVIDENCE_TOKENS = 4000  # by itself; a setting may ask for more
CONTEXT_DIVISOR = 3


def generate_part(
    context: GenerationContext,
    run: RunState,
    buffer: AnswerBuffer,
    part: SubQuestion,
    hits: Sequence[Hit],
    judgement: Judgement,
) -> Generator[AnswerEvent, None, PartResult]:
    """Yield Prompted, Delta and Cited as they come. Closing the iterator ends the model's stream."""
    budget = evidence_budget(
        context.chat, part.query, max_tokens=context.max_tokens, evidence_tokens=context.evidence_tokens
    )
    evidence = build_passages(hits, budget=budget, count_tokens=context.chat.count_tokens)
    checker = SentenceChecker(
        evidence,
        context.embedder,
        question=part.query,
        reason_language=context.language,
        inference=context.inference,
    )
    gate = SentenceGate(
        part.query, checker, context.locate, context.grounding, context.language,
        citations=buffer.citations, markers=buffer.markers, seen_stems=buffer.seen_stems,
        selects=context.selects,
    )  # fmt: skip
    buffer.start_paragraph()
    if run.failure is None:
        yield from buffer.emit(_generate(context, run, gate, checker, part, evidence), run)
    mode = AnswerMode.GENERATED if gate.opened else AnswerMode.NONE
    if not gate.opened:
        gate.discard_pending()
        blocks = _quotable_blocks(context, run, gate, part, hits, judgement)
        fresh = [block for block in blocks if (block.hit.chunk, block.quote) not in buffer.markers]
        mode = AnswerMode.EXTRACTIVE if blocks else AnswerMode.NONE
        yield from buffer.emit(gate.add_quotes(fresh), run)
    found = conflict_notes(part.query, gate, hits, context.language)
    for note in found:
        yield from buffer.emit(gate.add_note(note.render, note.grounds), run)
    buffer.sentences += gate.sentences
    return build_part_result(context, run, part, gate, mode, notes=len(found))


def evidence_budget(chat: ChatModel, question: str, *, max_tokens: int, evidence_tokens: int | None) -> int:
    """Return the tokens of evidence for the model. `evidence_tokens`: None depends on its context."""
    prompt = chat.count_tokens(load_prompt().overhead(question)) + TEMPLATE_TOKENS
    room = chat.context_tokens - prompt - max_tokens
    budget = evidence_tokens
    if budget is None:
        budget = min(MAX_EVIDENCE_TOKENS, chat.context_tokens // CONTEXT_DIVISOR)
    return max(MIN_EVIDENCE_TOKENS, min(budget, room))


def _generate(
    context: GenerationContext,
    run: RunState,
    gate: SentenceGate,
    checker: SentenceChecker,
    part: SubQuestion,
    evidence: Sequence[Passage],
) -> Iterator[AnswerEvent]:
    """Yield the checked sentences, until the model becomes unavailable."""
    try:
        yield from _stream_sentences(context, run, gate, checker, part, evidence)
    except Unavailable as error:
        model_failed("chat")
        run.failure = error


def _stream_sentences(
    context: GenerationContext,
    run: RunState,
    gate: SentenceGate,
    checker: SentenceChecker,
    part: SubQuestion,
    evidence: Sequence[Passage],
) -> Iterator[AnswerEvent]:
    """Yield the checked sentences. The model's stream is closed in any case."""
    messages = load_prompt().messages(part.query, evidence)
    chat, first = context.chat, len(run.written)
    prompt_tokens = sum(chat.count_tokens(str(message.content)) for message in messages)
    run.prompt_tokens += prompt_tokens
    run.called = True
    sentences = SentenceStream()
    written = chat.stream(messages, max_tokens=context.max_tokens)
    source = getattr(written, "with_pauses", lambda: written)()
    pieces = StepWhile(
        source,
        "write",
        SpanKind.LLM,
        {LLM_MODEL: chat.name},
        lambda: token_attributes(prompt_tokens, chat.count_tokens("".join(run.written[first:]))),
    )
    try:
        yield Prompted()
        checker.prepare()
        place: int | None = None
        for piece in pieces:
            if context.cancelled():
                run.stopped = True
                return
            before, place = place, getattr(written, "place", None)
            if place is not None and place != before:
                yield Waiting(place)
            run.written.append(piece)
            for unit in sentences.feed(piece):
                yield from gate.feed(unit)
            if gate.is_hopeless or gate.abstained or _is_looping(sentences.pending):
                return
        for unit in sentences.close():
            yield from gate.feed(unit, last=True)
    finally:
        pieces.close()
        close_iterator(written)


def _is_looping(pending: str) -> bool:
    """Return whether an unfinished sentence repeats its last words over and over."""
    if len(pending) < 120 or len(pending) % 8:
        return False
    tail = pending[-120:]
    return any(tail == (tail[:period] * (120 // period + 1))[:120] for period in range(1, 41))


def _quotable_blocks(
    context: GenerationContext,
    run: RunState,
    gate: SentenceGate,
    part: SubQuestion,
    hits: Sequence[Hit],
    judgement: Judgement,
) -> list[Extract]:
    """Return blocks to quote when nothing was shown, if the evidence is strong."""
    if not judgement.strong or gate.abstained or run.stopped or is_all_repeated(gate):
        return []
    return extract_blocks(part.query, hits, context.embedder, context.language)
