"""The answer pipeline: standalone question, search, evidence, answer or refusal, sentence check, events.

A compound question is answered part by part, each with its own evidence.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from cairn.answers import AnswerMode, Grounding, Verdict
from cairn.errors import CairnError
from cairn.inference.protocols import Embedder, NaturalLanguageInference
from retrieval.answering.answerability.rules import RuleAnswerability
from retrieval.answering.generation.extractive import escape_markdown
from retrieval.answering.generation.generate import generate_part
from retrieval.answering.generation.state import AnswerBuffer, GenerationContext, RunState
from retrieval.answering.generation.verdict import (
    PartResult,
    combine_verdicts,
    group_unanswered_by_cause,
    join_reasons,
    refuse_part,
)
from retrieval.answering.prompts.evidence import deduplicate
from retrieval.answering.prompts.prompt import VERSION
from retrieval.answering.protocols import Answerability, ChatModel, Judgement, Locate, Search
from retrieval.answering.query.decompose import SubQuestion
from retrieval.answering.query.understand import QueryUnderstanding, understand
from retrieval.answering.text.lexicon import Language, language_of
from retrieval.answering.text.messages import render_message
from retrieval.types import (
    Answer,
    AnsweredPart,
    AnswerEvent,
    Delta,
    Done,
    Failed,
    Hit,
    Sources,
    Started,
    Timings,
    Turn,
    Usage,
)

EVIDENCE_TOKENS = 500  # what the packaged model makes good use of
MAX_NEAREST_DOCUMENTS = 3


@dataclass(frozen=True, slots=True)
class AnswerContext:
    """A question, and everything needed to answer it."""

    question: str
    understood: QueryUnderstanding
    search: Search
    answerability: Answerability
    generation: GenerationContext

    @property
    def language(self) -> Language:
        return self.generation.language


@dataclass(frozen=True, slots=True)
class _JudgedPart:
    part: SubQuestion
    hits: Sequence[Hit]
    judgement: Judgement


def answer(
    question: str,
    *,
    search: Search,
    chat: ChatModel,
    embedder: Embedder,
    locate: Locate,
    history: Sequence[Turn] = (),
    grounding: str = Grounding.STRICT,
    max_tokens: int = 320,
    evidence_tokens: int | None = EVIDENCE_TOKENS,
    cancelled: Callable[[], bool] = lambda: False,
    answerability: Answerability | None = None,
    inference: NaturalLanguageInference | None = None,
    rewrites: bool = False,
    selects: bool = False,
) -> Iterator[AnswerEvent]:
    """Answer a question as a stream of events: Started, Sources, then for each part Prompted, Waiting, Delta
    and Cited as they come, and finally Done or Failed.

    `first_token_ms` is the time until the first Delta. Closing the iterator ends the model's stream. A
    citation comes before the text with its marker. `rewrites`: the chat model is good enough to rewrite
    questions. `selects`: it is trusted to pick relevant sentences, so the answer may open with words that the
    question does not have. `max_tokens` and `evidence_tokens` (None: depends on the model's context) apply to
    each part.
    """
    if grounding not in Grounding.values:
        message = f"grounding is strict or flag, not {grounding!r}"
        raise ValueError(message)
    generation = GenerationContext(
        chat,
        embedder,
        locate,
        grounding,
        max_tokens,
        evidence_tokens,
        cancelled,
        language_of(question),
        inference,
        selects,
    )
    try:
        run = RunState()
        understood = understand(question, history, chat if rewrites else None, cancelled)
        judge = answerability or RuleAnswerability(embedder)
        yield from _answer_parts(AnswerContext(question, understood, search, judge, generation), run)
    except CairnError as error:
        yield Failed(error.code, error.message)


def _answer_parts(context: AnswerContext, run: RunState) -> Iterator[AnswerEvent]:
    yield Started(context.understood.standalone)
    if not context.understood.standalone:
        yield Sources(())
        yield _refuse(context, run, AnswerBuffer(), [], render_message("empty", context.language), ())
        return
    searched = [(part, deduplicate(context.search(part.query))) for part in context.understood.parts]
    run.retrieval_ms = run.elapsed_ms()
    found = [
        _JudgedPart(part, hits, context.answerability.judge(part.query, hits)) for part, hits in searched
    ]
    run.signals = found[0].judgement.signals if len(found) == 1 else {}
    answerable = [item for item in found if item.judgement.answerable]
    yield Sources(_interleave(answerable))
    if not answerable:
        results = [_unanswerable_part(item) for item in found]
        yield _refuse(context, run, AnswerBuffer(), results, join_reasons(results), _interleave(found))
        return
    yield from _generate_parts(context, run, found)


def _interleave(found: Sequence[_JudgedPart]) -> tuple[Hit, ...]:
    """Merge the hits of all parts: the best of each, then the second of each, and so on."""
    deepest = max((len(item.hits) for item in found), default=0)
    ranked = [item.hits[at] for at in range(deepest) for item in found if at < len(item.hits)]
    return _deduplicate_by(ranked, lambda hit: hit.chunk)


def _deduplicate_by(hits: Sequence[Hit], key: Callable[[Hit], UUID]) -> tuple[Hit, ...]:
    found: dict[UUID, Hit] = {}
    for hit in hits:
        found.setdefault(key(hit), hit)
    return tuple(found.values())


def _generate_parts(
    context: AnswerContext, run: RunState, found: Sequence[_JudgedPart]
) -> Iterator[AnswerEvent]:
    buffer, results = AnswerBuffer(), list[PartResult]()
    for item in found:
        if run.stopped:
            reason = render_message("stopped", context.language)
            results.append(refuse_part(item.part, "stopped", reason))
        elif item.judgement.answerable:
            result = yield from generate_part(
                context.generation, run, buffer, item.part, item.hits, item.judgement
            )
            results.append(result)
        else:
            results.append(_unanswerable_part(item))
    if all(result.mode == AnswerMode.NONE for result in results):
        yield from _fail_or_refuse(context, run, buffer, results, _interleave(found))
        return
    buffer.start_paragraph()
    yield from buffer.emit(_render_unanswered_notes(results, context.language), run)
    verdict, reason = combine_verdicts(context.generation, run, results)
    yield Done(_build_answer(context, run, buffer, results, verdict=verdict, reason=reason))


def _unanswerable_part(item: _JudgedPart) -> PartResult:
    return refuse_part(item.part, "missing", item.judgement.reason)


def _fail_or_refuse(
    context: AnswerContext,
    run: RunState,
    buffer: AnswerBuffer,
    results: Sequence[PartResult],
    hits: Sequence[Hit],
) -> Iterator[AnswerEvent]:
    if run.failure is not None:
        yield Failed(run.failure.code, run.failure.message)
    else:
        yield _refuse(context, run, buffer, results, join_reasons(results), hits)


def _render_unanswered_notes(results: Sequence[PartResult], language: Language) -> Iterator[AnswerEvent]:
    """Yield one Delta that names the unanswered parts, if there are any."""
    notes = [
        render_message(word, language, parts=escape_markdown(parts))
        for word, parts in group_unanswered_by_cause(results)
    ]
    if notes:
        yield Delta("\n\n".join(notes))


def _refuse(
    context: AnswerContext,
    run: RunState,
    buffer: AnswerBuffer,
    results: Sequence[PartResult],
    reason: str,
    hits: Sequence[Hit],
) -> Done:
    nearest = _deduplicate_by(hits, lambda hit: hit.document)[:MAX_NEAREST_DOCUMENTS]
    return Done(
        _build_answer(context, run, buffer, results, verdict=Verdict.REFUSED, reason=reason, nearest=nearest)
    )


def _build_answer(
    context: AnswerContext,
    run: RunState,
    buffer: AnswerBuffer,
    results: Sequence[PartResult],
    *,
    verdict: Verdict,
    reason: str,
    nearest: tuple[Hit, ...] = (),
) -> Answer:
    modes = {result.mode for result in results}
    parts = [AnsweredPart(item.part.text, item.verdict, item.reason) for item in results]
    return Answer(
        question=context.question,
        standalone_question=context.understood.standalone,
        text=buffer.text,
        verdict=verdict,
        reason=reason,
        mode=next((mode for mode in AnswerMode if mode in modes), AnswerMode.NONE),
        citations=tuple(buffer.citations),
        sentences=tuple(buffer.sentences),
        nearest=nearest,
        model=context.generation.chat.name if run.called else "",
        usage=_usage(context, run),
        timings=Timings(run.retrieval_ms, run.first_token_ms, run.elapsed_ms()),
        prompt_version=VERSION if run.called else "",
        parts=tuple(parts) if len(parts) > 1 else (),
        rewrite_version=context.understood.version,
        signals=run.signals,
        broken_off=run.failure is not None and AnswerMode.GENERATED in modes,
    )


def _usage(context: AnswerContext, run: RunState) -> Usage:
    written = "".join(run.written)
    return Usage(run.prompt_tokens, context.generation.chat.count_tokens(written) if written else 0)
