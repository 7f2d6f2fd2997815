"""A question's way out: standalone question, search, evidence, answer or refusal, sentence check, events.

Verdicts
    supported: every sentence shown can be traced to a passage, and none of the model's sentences was left
        out for lack of support (remarks about itself and repetitions do not count).
    partial: something shown or left out could not be traced, the model broke off or was stopped, or the
        passages are quoted in place of an answer.
    refused: nothing is answered; `reason` says why, `nearest` names what the asker may open instead.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from cairn.errors import CairnError, Unavailable
from cairn.inference.protocols import Embedder, NaturalLanguageInference
from retrieval.answering.answerability import RuleAnswerability
from retrieval.answering.drafting import FLAG, STRICT, Draft
from retrieval.answering.evidence import Passage, deduplicated, passages
from retrieval.answering.extractive import extracts
from retrieval.answering.lexicon import Language, language_of
from retrieval.answering.prompting import VERSION, load_prompt, visible
from retrieval.answering.protocols import Answerability, ChatModel, Judgement, Locate, Search
from retrieval.answering.remembering import Remembering
from retrieval.answering.sentences import SentenceStream
from retrieval.answering.standalone import standalone_question
from retrieval.answering.support import SentenceChecker
from retrieval.answering.wording import say
from retrieval.types import (
    Answer,
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

EVIDENCE_TOKENS = 500  # a larger model makes good use of several times as many
MARGIN_TOKENS = 64  # what a chat template puts around the turns
LEAST_EVIDENCE_TOKENS = 64
NEAREST = 3
LONGEST_QUESTION = 4000  # characters


@dataclass(frozen=True, slots=True)
class Asked:
    """What stays the same while one question is answered."""

    question: str
    standalone: str
    search: Search
    chat: ChatModel
    embedder: Embedder
    locate: Locate
    answerability: Answerability
    grounding: str
    max_tokens: int
    evidence_tokens: int
    cancelled: Callable[[], bool]
    language: Language
    inference: NaturalLanguageInference | None = None


@dataclass(slots=True)
class Course:
    """What is found out on the way."""

    began: float = field(default_factory=time.perf_counter)
    retrieval_ms: float = 0.0
    first_token_ms: float | None = None
    prompt_tokens: int = 0
    written: list[str] = field(default_factory=list)
    stopped: bool = False
    broken: bool = False
    called: bool = False

    def since(self) -> float:
        return (time.perf_counter() - self.began) * 1000


def answer(
    question: str,
    *,
    search: Search,
    chat: ChatModel,
    embedder: Embedder,
    locate: Locate,
    history: Sequence[Turn] = (),
    grounding: str = STRICT,
    max_tokens: int = 320,
    evidence_tokens: int = EVIDENCE_TOKENS,
    cancelled: Callable[[], bool] = lambda: False,
    answerability: Answerability | None = None,
    inference: NaturalLanguageInference | None = None,
) -> Iterator[AnswerEvent]:
    """Started, Sources, then Delta and Cited as they come, and Done or Failed at the end.

    `first_token_ms` is the time until the first Delta. Closing the iterator ends the model's stream.
    A citation comes before the text that holds its marker.
    """
    if grounding not in (STRICT, FLAG):
        message = f"grounding is strict or flag, not {grounding!r}"
        raise ValueError(message)
    embedder = Remembering(embedder)
    asked = Asked(
        question=question,
        standalone=standalone_question(visible(question[:LONGEST_QUESTION]), history),
        search=search,
        chat=chat,
        embedder=embedder,
        locate=locate,
        answerability=answerability or RuleAnswerability(embedder),
        grounding=grounding,
        max_tokens=max_tokens,
        evidence_tokens=evidence_tokens,
        cancelled=cancelled,
        language=language_of(question),
        inference=inference,
    )
    try:
        yield from _answered(asked, Course())
    except CairnError as error:
        yield Failed(error.code, error.message)


def _answered(asked: Asked, course: Course) -> Iterator[AnswerEvent]:
    yield Started(asked.standalone)
    if not asked.standalone:
        yield Sources(())
        yield _refused(asked, course, say("empty", asked.language), ())
        return
    hits = deduplicated(asked.search(asked.standalone))
    course.retrieval_ms = course.since()
    judgement = asked.answerability.judge(asked.standalone, hits)
    if not judgement.answerable:
        yield Sources(())
        yield _refused(asked, course, judgement.reason, hits)
        return
    evidence = passages(hits, budget=_budget(asked), count_tokens=asked.chat.count_tokens)
    yield Sources(tuple(hits))
    yield from _written(asked, course, hits, evidence, judgement)


def _budget(asked: Asked) -> int:
    prompt = asked.chat.count_tokens(load_prompt().overhead(asked.standalone)) + MARGIN_TOKENS
    room = asked.chat.context_tokens - prompt - asked.max_tokens
    return max(LEAST_EVIDENCE_TOKENS, min(asked.evidence_tokens, room))


def _written(
    asked: Asked, course: Course, hits: Sequence[Hit], evidence: Sequence[Passage], judgement: Judgement
) -> Iterator[AnswerEvent]:
    checker = SentenceChecker(
        evidence,
        asked.embedder,
        question=asked.standalone,
        speaks=asked.language,
        inference=asked.inference,
    )
    draft = Draft(asked.standalone, checker.check, asked.locate, asked.grounding, asked.language)
    failure: Unavailable | None = None
    try:
        for event in _drafted(asked, course, draft, evidence):
            if isinstance(event, Delta) and course.first_token_ms is None:
                course.first_token_ms = course.since()
            yield event
    except Unavailable as error:
        failure = error
        course.broken = True
    if draft.opened:
        yield _done(asked, course, draft, mode="generated", hits=())
        return
    yield from _fallen_back(asked, course, draft, hits, judgement, failure)


def _drafted(
    asked: Asked, course: Course, draft: Draft, evidence: Sequence[Passage]
) -> Iterator[AnswerEvent]:
    """What of the model's writing may be shown. Its stream is closed whichever way this ends."""
    messages = load_prompt().messages(asked.standalone, evidence)
    course.prompt_tokens = sum(asked.chat.count_tokens(str(message.content)) for message in messages)
    course.called = True
    sentences = SentenceStream()
    pieces = asked.chat.stream(messages, max_tokens=asked.max_tokens)
    try:
        for piece in pieces:
            course.written.append(piece)
            for unit in sentences.feed(piece):
                yield from draft.take(unit)
            if asked.cancelled():
                course.stopped = True
                return
            if draft.hopeless or draft.abstained or _circles(sentences.pending):
                return
        for unit in sentences.close():
            yield from draft.take(unit, last=True)
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


def _circles(pending: str) -> bool:
    """Whether an unfinished sentence repeats its last words again and again."""
    if len(pending) < 120 or len(pending) % 8:
        return False
    tail = pending[-120:]
    return any(tail == (tail[:period] * (120 // period + 1))[:120] for period in range(1, 41))


def _fallen_back(
    asked: Asked,
    course: Course,
    draft: Draft,
    hits: Sequence[Hit],
    judgement: Judgement,
    failure: Unavailable | None,
) -> Iterator[AnswerEvent]:
    """Nothing was shown: quote the evidence if it is strong, else refuse, or fail with the model."""
    draft.forget_waiting()
    quotable = judgement.strong and not draft.abstained and not course.stopped
    blocks = extracts(asked.standalone, hits, asked.embedder, asked.language) if quotable else []
    if blocks:
        for event in draft.quote(blocks):
            if isinstance(event, Delta) and course.first_token_ms is None:
                course.first_token_ms = course.since()
            yield event
        yield _done(asked, course, draft, mode="extractive", hits=())
    elif failure is not None:
        yield Failed(failure.code, failure.message)
    else:
        why = "stopped" if course.stopped else "abstained" if draft.abstained else "nothing_held"
        yield _refused(asked, course, say(why, asked.language), hits, draft)


def _verdict(asked: Asked, course: Course, draft: Draft, mode: str) -> tuple[str, str]:
    """The verdict on what was shown, and its reason."""
    if mode == "extractive":
        return "partial", say("model_away" if course.broken else "extractive", asked.language)
    if course.broken or course.stopped:
        return "partial", say("broken_off" if course.broken else "stopped", asked.language)
    kept = sum(sentence.supported for sentence in draft.sentences)
    if draft.lost:
        what = "flagged" if asked.grounding == FLAG else "dropped"
        return "partial", say(what, asked.language, count=draft.lost, total=kept + draft.lost)
    return "supported", say("supported", asked.language)


def _done(asked: Asked, course: Course, draft: Draft, *, mode: str, hits: Sequence[Hit]) -> Done:
    verdict, reason = _verdict(asked, course, draft, mode)
    return Done(_answer(asked, course, draft, verdict=verdict, reason=reason, mode=mode, nearest=hits))


def _refused(
    asked: Asked, course: Course, reason: str, hits: Sequence[Hit], draft: Draft | None = None
) -> Done:
    nearest = list({hit.document: hit for hit in reversed(hits)}.values())[::-1][:NEAREST]
    return Done(_answer(asked, course, draft, verdict="refused", reason=reason, mode="none", nearest=nearest))


def _answer(
    asked: Asked,
    course: Course,
    draft: Draft | None,
    *,
    verdict: str,
    reason: str,
    mode: str,
    nearest: Sequence[Hit],
) -> Answer:
    return Answer(
        question=asked.question,
        standalone_question=asked.standalone,
        text=draft.text if draft else "",
        verdict=verdict,
        reason=reason,
        mode=mode,
        citations=tuple(draft.citations) if draft else (),
        sentences=tuple(draft.sentences) if draft else (),
        nearest=tuple(nearest),
        model=asked.chat.name if course.called else "",
        usage=_usage(asked, course),
        timings=Timings(course.retrieval_ms, course.first_token_ms, course.since()),
        prompt_version=VERSION if course.called else "",
    )


def _usage(asked: Asked, course: Course) -> Usage:
    written = "".join(course.written)
    return Usage(course.prompt_tokens, asked.chat.count_tokens(written) if written else 0)
