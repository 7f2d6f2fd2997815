"""The answer pipeline: standalone question, search, evidence, answer or refusal, sentence check, events.

A compound question is answered part by part, each with its own evidence.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from cairn.answers import AnswerMode, Grounding, Verdict
from cairn.errors import CairnError
from cairn.inference.protocols import Embedder, NaturalLanguageInference, Reranker
from retrieval.answering.answerability.language_mismatch import explain_other_language
from retrieval.answering.answerability.rules import RuleAnswerability
from retrieval.answering.evidence_budget import EvidenceBudget
from retrieval.answering.generation.declined import build_declined_events
from retrieval.answering.generation.extractive import escape_markdown
from retrieval.answering.generation.part_writer import PartWriter
from retrieval.answering.generation.state import AnswerBuffer, GenerationContext, RunState
from retrieval.answering.generation.verdict import (
    PartResult,
    combine_verdicts,
    group_unanswered_by_cause,
    refuse_part,
)
from retrieval.answering.generation.verified import build_verified_result, show_verified_answers
from retrieval.answering.prompts.evidence import deduplicate
from retrieval.answering.protocols import (
    Answerability,
    ChatModel,
    CorrectSpelling,
    Decline,
    FindVerified,
    Judgement,
    LoadPassage,
    Locate,
    Search,
    choose_rewriter,
)
from retrieval.answering.query.decompose import SubQuestion
from retrieval.answering.query.understand import QueryUnderstanding, understand
from retrieval.answering.text.lexicon import Language, language_of
from retrieval.answering.text.messages import render_message
from retrieval.answering.text.refusals import reply_language
from retrieval.answering.text.spelling import are_found, correct_text
from retrieval.answering.text.terms import content_stems
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
    VerifiedText,
)

MAX_TOKENS = 320
EVIDENCE_TOKENS = 500  # as much as the packaged model uses well
MAX_NEAREST_DOCUMENTS = 3


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """A question, and everything needed to answer it. `rewrites`: the chat model may rewrite the question."""

    question: str
    history: Sequence[Turn]
    search: Search
    answerability: Answerability
    generation: GenerationContext
    rewrites: bool
    find_verified: FindVerified
    correct_spelling: CorrectSpelling
    decline: Decline

    @property
    def language(self) -> Language:
        return self.generation.language


@dataclass(frozen=True, slots=True)
class _JudgedPart:
    part: SubQuestion
    hits: Sequence[Hit]
    judgement: Judgement
    verified: Sequence[VerifiedText] = ()


def answer(
    question: str,
    *,
    search: Search,
    chat: ChatModel,
    embedder: Embedder,
    locate: Locate,
    history: Sequence[Turn] = (),
    grounding: str = Grounding.STRICT,
    evidence: EvidenceBudget | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    answerability: Answerability | None = None,
    inference: NaturalLanguageInference | None = None,
    writes: bool = True,
    rewrites: bool = False,
    selects: bool = False,
    reranker: Reranker | None = None,
    find_verified: FindVerified = lambda _: (),
    correct_spelling: CorrectSpelling = lambda *_: (),
    load_passage: LoadPassage = lambda *_: None,
    decline: Decline = lambda _: None,
) -> Iterator[AnswerEvent]:
    """Stream an answer: Started, Sources, for each part Prompted, Waiting, Delta and Cited, Done or Failed.

    `Answer.timings.first_token_ms` is the time until the first Delta. Closing the iterator ends the model's
    stream. A citation comes before the text with its marker. `writes`: whether the chat model is asked; if
    not, passages are quoted. `rewrites`: it is good enough to rewrite questions. `selects`: it is trusted to
    pick relevant sentences, so the answer may open with words that the question does not have. `reranker`:
    the packaged one, if any; chooses quotes and recognises what a trusted model says in other words.
    `evidence`: how much of it the model reads for each part, and its prompt. `find_verified`: finds what is
    the answer, whatever the documents say. `correct_spelling`: corrects words that no passage found has.
    `load_passage`: loads passages around a cut list. `decline`: finds a rule that declines it.
    """
    generation = build_generation_context(
        question,
        chat=chat,
        embedder=embedder,
        locate=locate,
        grounding=grounding,
        evidence=evidence,
        cancelled=cancelled,
        inference=inference,
        writes=writes,
        selects=selects,
        reranker=reranker,
        load_passage=load_passage,
    )
    judge = answerability or RuleAnswerability(embedder)
    optional = (rewrites, find_verified, correct_spelling, decline)
    return _answer(AnswerRequest(question, history, search, judge, generation, *optional))


def build_generation_context(
    question: str,
    *,
    chat: ChatModel,
    embedder: Embedder,
    locate: Locate,
    grounding: str = Grounding.STRICT,
    evidence: EvidenceBudget | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    inference: NaturalLanguageInference | None = None,
    writes: bool = True,
    selects: bool = False,
    reranker: Reranker | None = None,
    load_passage: LoadPassage = lambda *_: None,
) -> GenerationContext:
    """Return the settings for one question; see `answer`."""
    if grounding not in Grounding.values:
        message = f"grounding is strict or flag, not {grounding!r}"
        raise ValueError(message)
    return GenerationContext(
        chat,
        embedder,
        locate,
        grounding,
        evidence or EvidenceBudget(chat, MAX_TOKENS, EVIDENCE_TOKENS),
        cancelled,
        language_of(question),
        reply_language(question),
        inference,
        selects,
        reranker,
        writes,
        load_passage,
    )


def _answer(request: AnswerRequest) -> Iterator[AnswerEvent]:
    run, buffer, results = RunState(), AnswerBuffer(), list[PartResult]()
    try:
        understood = _understand(request)
        queries = {understood.standalone, *(part.query for part in understood.parts)}
        if declined := request.decline(queries):
            yield from build_declined_events(request.question, understood.standalone, declined)
            return
        settled = not any(part.joined for part in understood.parts)
        if settled:
            yield Started(understood.standalone)
        found = _search_parts(request, run, understood)
        if not settled:
            understood, found = _join_if_needed(request, run, understood, found)
            yield Started(understood.standalone)
        # Corrected spelling, or the question before a keyword, may have brought in what a rule declines.
        if declined := request.decline({item.part.query for item in found} - queries):
            yield from build_declined_events(request.question, understood.standalone, declined)[1:]
            return
        yield Sources(_interleave([item for item in found if item.judgement.answerable]))
        for item in found:
            if run.stopped or not item.judgement.answerable:
                results.append(_build_unanswered_result(request, run, item))
                continue
            if item.verified:
                yield from show_verified_answers(request.generation, run, buffer, item.verified)
                results.append(build_verified_result(request.generation, item.part, item.verified))
                continue
            writer = PartWriter(request.generation, run, buffer, item.part, item.hits, item.judgement)
            yield from writer.stream()
            yield from writer.add_quotes_and_notes()
            results.append(writer.build_result())
        yield from _finish(request, understood, run, buffer, results, _interleave(found))
    except CairnError as error:
        yield Failed(error.code, error.message)


def _understand(request: AnswerRequest) -> QueryUnderstanding:
    context = request.generation
    chat = choose_rewriter(context.chat) if request.rewrites else None
    return understand(request.question, request.history, chat, context.cancelled)


def _search_parts(request: AnswerRequest, run: RunState, understood: QueryUnderstanding) -> list[_JudgedPart]:
    """Search for each part of the question and judge the evidence; [] for a question without words."""
    if not understood.standalone:
        return []
    searched = [
        (part, verified, [answer.hit for answer in verified])
        if verified
        else _search_part(request, run, part)
        for part, verified in _find_verified(request, understood)
    ]
    run.retrieval_ms = run.elapsed_ms()
    found = [
        _JudgedPart(part, hits, _judge(request, part, verified, hits), verified)
        for part, verified, hits in searched
    ]
    run.signals = found[0].judgement.signals if len(found) == 1 else {}
    return found


def _search_part(
    request: AnswerRequest, run: RunState, part: SubQuestion
) -> tuple[SubQuestion, Sequence[VerifiedText], Sequence[Hit]]:
    """Return the part, the verified answers to it, and the hits for it: with corrected spelling if a passage
    found that way contains the corrected word."""
    hits = deduplicate(request.search(part.query))
    corrections = [] if part.joined else request.correct_spelling(part.query, hits)
    if not corrections:
        return part, (), hits
    corrected = replace(part, query=correct_text(part.query, corrections))
    verified = request.find_verified(corrected.query)
    again = [answer.hit for answer in verified] or deduplicate(request.search(corrected.query))
    if not are_found(corrections, again):
        return part, (), hits
    run.spelling.extend(each for each in corrections if each not in run.spelling)
    return corrected, verified, again


def _join_if_needed(
    request: AnswerRequest, run: RunState, understood: QueryUnderstanding, found: list[_JudgedPart]
) -> tuple[QueryUnderstanding, list[_JudgedPart]]:
    """Return a keyword and its evidence, or, if only both together have an answer, the previous question with
    the keyword and the evidence for that. The previous question has an answer on its own, so a passage must
    contain the keyword as well."""
    [part] = understood.parts
    if not found or found[0].judgement.answerable:
        return understood, found
    joined = SubQuestion(part.text, part.joined)
    together = QueryUnderstanding(joined.query, (joined,))
    signals = run.signals
    again = _search_parts(request, run, together)
    stems = content_stems(part.text, request.language)
    known = any(stems <= content_stems(_read(hit), request.language) for hit in again[0].hits)
    if known and again[0].judgement.answerable:
        return together, again
    run.signals = signals
    return understood, found


def _read(hit: Hit) -> str:
    return f"{hit.title} {' '.join(hit.section)} {hit.text}"


def _find_verified(
    request: AnswerRequest, understood: QueryUnderstanding
) -> list[tuple[SubQuestion, Sequence[VerifiedText]]]:
    """Return the question as a whole if there is a verified answer to it, else its parts with theirs."""
    if answers := request.find_verified(understood.standalone):
        return [(SubQuestion(request.question, understood.standalone), answers)]
    if len(understood.parts) == 1:
        return [(understood.parts[0], ())]
    return [(part, request.find_verified(part.query)) for part in understood.parts]


def _judge(
    request: AnswerRequest, part: SubQuestion, verified: Sequence[VerifiedText], hits: Sequence[Hit]
) -> Judgement:
    if verified:
        return Judgement(answerable=True)
    language = request.generation.reply_language
    judgement = request.answerability.judge(part.query, hits, language)
    if not judgement.answerable and (reason := explain_other_language(part.query, hits, language)):
        return replace(judgement, reason=reason)
    return judgement


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


def _build_unanswered_result(request: AnswerRequest, run: RunState, item: _JudgedPart) -> PartResult:
    if run.stopped:
        return refuse_part(item.part, "stopped", render_message("stopped", request.generation.reply_language))
    return refuse_part(item.part, "missing", item.judgement.reason)


def _finish(
    request: AnswerRequest,
    understood: QueryUnderstanding,
    run: RunState,
    buffer: AnswerBuffer,
    results: Sequence[PartResult],
    hits: Sequence[Hit],
) -> list[AnswerEvent]:
    """Return the last events: notes on unanswered parts and the answer, or a refusal or failure."""
    verdict, reason = combine_verdicts(request.generation, run, results)
    notes, nearest = list[AnswerEvent](), tuple[Hit, ...]()
    if verdict != Verdict.REFUSED:
        buffer.start_paragraph()
        notes = buffer.add(_render_unanswered_notes(results, request.language), run)
    elif run.failure is not None:
        return [Failed(run.failure.code, run.failure.message)]
    else:
        nearest = _find_nearest(hits)
    answer = _build_answer(
        request, understood, run, buffer, results, verdict=verdict, reason=reason, nearest=nearest
    )
    return [*notes, Done(answer)]


def _find_nearest(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    return _deduplicate_by(hits, lambda hit: hit.document)[:MAX_NEAREST_DOCUMENTS]


def _render_unanswered_notes(results: Sequence[PartResult], language: Language) -> list[AnswerEvent]:
    """Return one Delta that names the unanswered parts, if there are any."""
    notes = [
        render_message(key, language, parts=escape_markdown(questions))
        for key, questions in group_unanswered_by_cause(results)
    ]
    return [Delta("\n\n".join(notes))] if notes else []


def _build_answer(
    request: AnswerRequest,
    understood: QueryUnderstanding,
    run: RunState,
    buffer: AnswerBuffer,
    results: Sequence[PartResult],
    *,
    verdict: Verdict,
    reason: str,
    nearest: tuple[Hit, ...],
) -> Answer:
    modes = {result.mode for result in results}
    parts = [AnsweredPart(item.part.text, item.verdict, item.reason) for item in results]
    return Answer(
        question=request.question,
        standalone_question=understood.standalone,
        text=buffer.text,
        verdict=verdict,
        reason=reason,
        mode=next(
            (mode for mode in AnswerMode if mode in modes), AnswerMode.NONE
        ),  # in the order of AnswerMode
        citations=tuple(buffer.citations),
        sentences=tuple(buffer.sentences),
        nearest=nearest,
        model=run.route.model,
        route=run.route,
        usage=_usage(request, run),
        timings=Timings(run.retrieval_ms, run.first_token_ms, run.elapsed_ms()),
        prompt_version=request.generation.evidence.full_prompt_version if run.called else "",
        parts=tuple(parts) if len(parts) > 1 else (),
        rewrite_version=understood.version,
        signals=run.signals,
        spelling=tuple(run.spelling),
        failure=run.failure,
        broken_off=run.failure is not None and AnswerMode.GENERATED in modes,
    )


def _usage(request: AnswerRequest, run: RunState) -> Usage:
    written = "".join(run.pieces)
    return Usage(run.prompt_tokens, request.generation.chat.count_tokens(written) if written else 0)
