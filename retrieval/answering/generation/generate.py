"""Generation of one part of an answer, from its evidence to checked events."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cairn.answers import AnswerMode, Grounding, Verdict
from cairn.errors import Unavailable
from cairn.inference.protocols import Embedder, NaturalLanguageInference
from cairn.telemetry.context import close_iterator
from cairn.telemetry.metrics import model_failed
from cairn.telemetry.openinference import LLM_MODEL, SpanKind, token_attributes
from cairn.telemetry.tracing import StepWhile
from retrieval.answering.generation.conflict_note import conflict_notes
from retrieval.answering.generation.extractive import Extract, extract_blocks
from retrieval.answering.generation.sentence_gate import SentenceGate
from retrieval.answering.grounding.check import SentenceChecker
from retrieval.answering.prompts.evidence import Passage, build_passages
from retrieval.answering.prompts.prompt import load_prompt
from retrieval.answering.protocols import ChatModel, Judgement, Locate
from retrieval.answering.query.decompose import SubQuestion
from retrieval.answering.text.lexicon import Language
from retrieval.answering.text.messages import render_message
from retrieval.answering.text.sentences import SentenceStream
from retrieval.types import AnswerEvent, CheckedSentence, Citation, Delta, Hit, Prompted, Waiting

TEMPLATE_TOKENS = 64  # what a chat template puts around the turns
MIN_EVIDENCE_TOKENS = 64
MAX_EVIDENCE_TOKENS = 4000  # by itself; a setting may ask for more
CONTEXT_DIVISOR = 3


@dataclass(frozen=True, slots=True)
class GenerationContext:
    """Constant settings while one question is answered. `evidence_tokens`: None depends on the model's
    context."""

    chat: ChatModel
    embedder: Embedder
    locate: Locate
    grounding: str
    max_tokens: int
    evidence_tokens: int | None
    cancelled: Callable[[], bool]
    language: Language
    inference: NaturalLanguageInference | None = None
    selects: bool = False


@dataclass(slots=True)
class RunState:
    """State that changes while one question is answered.

    `failure`: why the model is no longer available. `signals`: what a question of one part was judged by.
    """

    started_at: float = field(default_factory=time.perf_counter)
    retrieval_ms: float = 0.0
    first_token_ms: float | None = None
    prompt_tokens: int = 0
    written: list[str] = field(default_factory=list)
    stopped: bool = False
    failure: Unavailable | None = None
    called: bool = False
    signals: Mapping[str, float] = field(default_factory=dict)

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started_at) * 1000


@dataclass(slots=True)
class AnswerBuffer:
    """The answer so far. Parts share its markers and do not repeat what it says."""

    text: str = ""
    citations: list[Citation] = field(default_factory=list)
    sentences: list[CheckedSentence] = field(default_factory=list)
    markers: dict[tuple[object, str], int] = field(default_factory=dict)
    seen_stems: list[frozenset[str]] = field(default_factory=list)
    _needs_break: bool = False

    def start_paragraph(self) -> None:
        """Separate what comes next from the text so far."""
        self._needs_break = bool(self.text)

    def emit(self, events: Iterator[AnswerEvent], run: RunState) -> Iterator[AnswerEvent]:
        for event in events:
            if isinstance(event, Delta):
                yield self._append(event.text, run)
            else:
                yield event

    def _append(self, text: str, run: RunState) -> Delta:
        delta = f"\n\n{text}" if self._needs_break else text
        self._needs_break = False
        self.text += delta
        if run.first_token_ms is None:
            run.first_token_ms = run.elapsed_ms()
        return Delta(delta)


@dataclass(frozen=True, slots=True)
class PartResult:
    """Result of one part. `cause`: message key for an unanswered part. `differs`: documents contradict each
    other."""

    part: SubQuestion
    mode: AnswerMode
    verdict: Verdict
    reason: str
    cause: str = ""
    supported_count: int = 0
    unsupported_count: int = 0
    differs: bool = False


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
    return _part_result(context, run, part, gate, mode, notes=len(found))


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
    if not judgement.strong or gate.abstained or run.stopped or _is_all_repeated(gate):
        return []
    return extract_blocks(part.query, hits, context.embedder, context.language)


def _is_all_repeated(gate: SentenceGate) -> bool:
    """Return whether the answer to an earlier part already has everything that the model wrote."""
    repeated = render_message("repeated", gate.language)
    return bool(gate.sentences) and all(item.reason == repeated for item in gate.sentences)


def _part_result(
    context: GenerationContext,
    run: RunState,
    part: SubQuestion,
    gate: SentenceGate,
    mode: AnswerMode,
    *,
    notes: int,
) -> PartResult:
    if mode == AnswerMode.NONE and not _is_all_repeated(gate):
        cause = _refusal_cause(run, gate)
        return PartResult(part, mode, Verdict.REFUSED, render_message(cause, context.language), cause=cause)
    supported_count = sum(sentence.supported for sentence in gate.sentences) - notes
    verdict, reason = _part_verdict(context, run, gate, mode, supported_count)
    if notes:
        reason = f"{reason} {render_message('differ_reason', context.language)}"
    mode = AnswerMode.GENERATED if mode == AnswerMode.NONE else mode
    return PartResult(
        part,
        mode,
        verdict,
        reason,
        supported_count=supported_count,
        unsupported_count=gate.unsupported_count,
        differs=notes > 0,
    )


def _refusal_cause(run: RunState, gate: SentenceGate) -> str:
    if run.failure is not None:
        return "model_gone"
    return "stopped" if run.stopped else "abstained" if gate.abstained else "nothing_supported"


def _part_verdict(
    context: GenerationContext, run: RunState, gate: SentenceGate, mode: AnswerMode, supported_count: int
) -> tuple[Verdict, str]:
    """Return the verdict on what was shown, and its reason."""
    if mode == AnswerMode.EXTRACTIVE:
        return Verdict.PARTIAL, render_message(
            "model_away" if run.failure else "extractive", context.language
        )
    if run.failure or run.stopped:
        return Verdict.PARTIAL, render_message("broken_off" if run.failure else "stopped", context.language)
    if gate.unsupported_count:
        what = "flagged" if context.grounding == Grounding.FLAG else "dropped"
        return Verdict.PARTIAL, render_message(
            what,
            context.language,
            count=gate.unsupported_count,
            total=supported_count + gate.unsupported_count,
        )
    return Verdict.SUPPORTED, render_message("supported", context.language)
