"""The answer to one question, or to one part of it: from evidence to what may be shown of it."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cairn.errors import Unavailable
from cairn.inference.protocols import Embedder, NaturalLanguageInference
from cairn.telemetry.ids import close_iterator
from cairn.telemetry.measured import model_failed
from cairn.telemetry.tracing import StepWhile
from retrieval.answering.differing import differences
from retrieval.answering.drafting import FLAG, Draft
from retrieval.answering.evidence import Passage, passages
from retrieval.answering.extractive import Extract, extracts
from retrieval.answering.lexicon import Language
from retrieval.answering.parts import Part
from retrieval.answering.prompting import load_prompt
from retrieval.answering.protocols import ChatModel, Judgement, Locate
from retrieval.answering.sentences import SentenceStream
from retrieval.answering.support import SentenceChecker
from retrieval.answering.wording import say
from retrieval.types import AnswerEvent, CheckedSentence, Citation, Delta, Hit, Prompted, Waiting

MARGIN_TOKENS = 64  # what a chat template puts around the turns
LEAST_EVIDENCE_TOKENS = 64
MOST_EVIDENCE_TOKENS = 4000  # by itself; a setting may ask for more
SHARE_OF_CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Writer:
    """What stays the same while one question is answered. `evidence_tokens`: None goes by the context."""

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
class Course:
    """What is found out on the way. `failure`: why the model cannot be heard any more. `signals`: what a
    question of one part was judged by."""

    began: float = field(default_factory=time.perf_counter)
    retrieval_ms: float = 0.0
    first_token_ms: float | None = None
    prompt_tokens: int = 0
    written: list[str] = field(default_factory=list)
    stopped: bool = False
    failure: Unavailable | None = None
    called: bool = False
    signals: Mapping[str, float] = field(default_factory=dict)

    def since(self) -> float:
        return (time.perf_counter() - self.began) * 1000


@dataclass(slots=True)
class Whole:
    """What the parts have shown so far: they share its markers, and do not say again what it says."""

    text: str = ""
    citations: list[Citation] = field(default_factory=list)
    sentences: list[CheckedSentence] = field(default_factory=list)
    markers: dict[tuple[object, str], int] = field(default_factory=dict)
    said: list[frozenset[str]] = field(default_factory=list)
    _apart: bool = False

    def begin(self) -> None:
        """What comes next is set apart from what stands here."""
        self._apart = bool(self.text)

    def shown(self, events: Iterator[AnswerEvent], course: Course) -> Iterator[AnswerEvent]:
        for event in events:
            if isinstance(event, Delta):
                yield self._added(event.text, course)
            else:
                yield event

    def _added(self, text: str, course: Course) -> Delta:
        delta = f"\n\n{text}" if self._apart else text
        self._apart = False
        self.text += delta
        if course.first_token_ms is None:
            course.first_token_ms = course.since()
        return Delta(delta)


@dataclass(frozen=True, slots=True)
class Outcome:
    """mode: generated, extractive, none. verdict: supported, partial, refused. `why`: of what is not
    answered, a word of `wording`. `differs`: documents contradict each other."""

    part: Part
    mode: str
    verdict: str
    reason: str
    why: str = ""
    kept: int = 0
    lost: int = 0
    differs: bool = False


def write(
    writer: Writer, course: Course, whole: Whole, part: Part, hits: Sequence[Hit], judgement: Judgement
) -> Generator[AnswerEvent, None, Outcome]:
    """Prompted, and Delta and Cited as they come. Closing it ends the model's stream."""
    budget = evidence_budget(
        writer.chat, part.query, max_tokens=writer.max_tokens, evidence_tokens=writer.evidence_tokens
    )
    evidence = passages(hits, budget=budget, count_tokens=writer.chat.count_tokens)
    checker = SentenceChecker(
        evidence,
        writer.embedder,
        question=part.query,
        speaks=writer.language,
        inference=writer.inference,
    )
    draft = Draft(
        part.query, checker, writer.locate, writer.grounding, writer.language,
        citations=whole.citations, markers=whole.markers, said=whole.said, selects=writer.selects,
    )  # fmt: skip
    whole.begin()
    if course.failure is None:
        yield from whole.shown(_generated(writer, course, draft, checker, part, evidence), course)
    mode = "generated" if draft.opened else "none"
    if not draft.opened:
        draft.forget_waiting()
        blocks = _blocks(writer, course, draft, part, hits, judgement)
        fresh = [block for block in blocks if (block.hit.chunk, block.quote) not in whole.markers]
        mode = "extractive" if blocks else "none"
        yield from whole.shown(draft.quote(fresh), course)
    found = differences(part.query, draft, hits, writer.language)
    for remark in found:
        yield from whole.shown(draft.remark(remark.wording, remark.grounds), course)
    whole.sentences += draft.sentences
    return _outcome(writer, course, part, draft, mode, remarks=len(found))


def evidence_budget(chat: ChatModel, question: str, *, max_tokens: int, evidence_tokens: int | None) -> int:
    """How many tokens of evidence the model is shown. `evidence_tokens`: None goes by its context."""
    prompt = chat.count_tokens(load_prompt().overhead(question)) + MARGIN_TOKENS
    room = chat.context_tokens - prompt - max_tokens
    wanted = evidence_tokens
    if wanted is None:
        wanted = min(MOST_EVIDENCE_TOKENS, chat.context_tokens // SHARE_OF_CONTEXT)
    return max(LEAST_EVIDENCE_TOKENS, min(wanted, room))


def _generated(
    writer: Writer,
    course: Course,
    draft: Draft,
    checker: SentenceChecker,
    part: Part,
    evidence: Sequence[Passage],
) -> Iterator[AnswerEvent]:
    """What of the model's writing may be shown, until it cannot be heard any more."""
    try:
        yield from _drafted(writer, course, draft, checker, part, evidence)
    except Unavailable as error:
        model_failed("chat")
        course.failure = error


def _drafted(
    writer: Writer,
    course: Course,
    draft: Draft,
    checker: SentenceChecker,
    part: Part,
    evidence: Sequence[Passage],
) -> Iterator[AnswerEvent]:
    """Its stream is closed whichever way this ends."""
    messages = load_prompt().messages(part.query, evidence)
    course.prompt_tokens += sum(writer.chat.count_tokens(str(message.content)) for message in messages)
    course.called = True
    sentences = SentenceStream()
    written = writer.chat.stream(messages, max_tokens=writer.max_tokens)
    heard = getattr(written, "with_pauses", lambda: written)()
    pieces = StepWhile(heard, "write", model=writer.chat.name)
    try:
        yield Prompted()
        checker.prepare()
        place: int | None = None
        for piece in pieces:
            if writer.cancelled():
                course.stopped = True
                return
            before, place = place, getattr(written, "place", None)
            if place is not None and place != before:
                yield Waiting(place)
            course.written.append(piece)
            for unit in sentences.feed(piece):
                yield from draft.take(unit)
            if draft.hopeless or draft.abstained or _circles(sentences.pending):
                return
        for unit in sentences.close():
            yield from draft.take(unit, last=True)
    finally:
        pieces.close()
        close_iterator(written)


def _circles(pending: str) -> bool:
    """Whether an unfinished sentence repeats its last words again and again."""
    if len(pending) < 120 or len(pending) % 8:
        return False
    tail = pending[-120:]
    return any(tail == (tail[:period] * (120 // period + 1))[:120] for period in range(1, 41))


def _blocks(
    writer: Writer, course: Course, draft: Draft, part: Part, hits: Sequence[Hit], judgement: Judgement
) -> list[Extract]:
    """Nothing was shown: what of the evidence may be quoted instead, if it is strong."""
    if not judgement.strong or draft.abstained or course.stopped or _is_covered(draft):
        return []
    return extracts(part.query, hits, writer.embedder, writer.language)


def _is_covered(draft: Draft) -> bool:
    """All that the model had to say stands in the answer to an earlier part."""
    repeated = say("repeated", draft.language)
    return bool(draft.sentences) and all(item.reason == repeated for item in draft.sentences)


def _outcome(writer: Writer, course: Course, part: Part, draft: Draft, mode: str, *, remarks: int) -> Outcome:
    if mode == "none" and not _is_covered(draft):
        why = _why(course, draft)
        return Outcome(part, mode, "refused", say(why, writer.language), why=why)
    kept = sum(sentence.supported for sentence in draft.sentences) - remarks
    verdict, reason = _verdict(writer, course, draft, mode, kept)
    if remarks:
        reason = f"{reason} {say('differ_reason', writer.language)}"
    mode = "generated" if mode == "none" else mode
    return Outcome(part, mode, verdict, reason, kept=kept, lost=draft.lost, differs=remarks > 0)


def _why(course: Course, draft: Draft) -> str:
    if course.failure is not None:
        return "model_gone"
    return "stopped" if course.stopped else "abstained" if draft.abstained else "nothing_held"


def _verdict(writer: Writer, course: Course, draft: Draft, mode: str, kept: int) -> tuple[str, str]:
    """The verdict on what was shown, and its reason."""
    if mode == "extractive":
        return "partial", say("model_away" if course.failure else "extractive", writer.language)
    if course.failure or course.stopped:
        return "partial", say("broken_off" if course.failure else "stopped", writer.language)
    if draft.lost:
        what = "flagged" if writer.grounding == FLAG else "dropped"
        return "partial", say(what, writer.language, count=draft.lost, total=kept + draft.lost)
    return "supported", say("supported", writer.language)
