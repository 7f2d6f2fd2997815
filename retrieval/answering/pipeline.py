"""A question's way out: standalone question, search, evidence, answer or refusal, sentence check, events.

A question that asks several things is answered part by part, each from evidence of its own.

Verdicts
    supported: every sentence shown can be traced to a passage, and none of the model's sentences was left
        out for lack of support (remarks about itself and repetitions do not count).
    partial: something shown or left out could not be traced, the model broke off or was stopped, the
        passages are quoted in place of an answer, or not every part of the question is answered.
    refused: nothing is answered; `reason` says why, `nearest` names what the asker may open instead.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from cairn.errors import CairnError
from cairn.inference.protocols import Embedder, NaturalLanguageInference
from retrieval.answering.answerability import RuleAnswerability
from retrieval.answering.drafting import FLAG, STRICT
from retrieval.answering.evidence import deduplicated
from retrieval.answering.extractive import escaped
from retrieval.answering.lexicon import Language, language_of
from retrieval.answering.parts import Part
from retrieval.answering.prompting import VERSION
from retrieval.answering.protocols import Answerability, ChatModel, Judgement, Locate, Search
from retrieval.answering.understanding import Understood, understand
from retrieval.answering.wording import say
from retrieval.answering.writing import Course, Outcome, Whole, Writer, write
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
NEAREST = 3


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and all that it takes to answer it."""

    question: str
    understood: Understood
    search: Search
    answerability: Answerability
    writer: Writer

    @property
    def language(self) -> Language:
        return self.writer.language


@dataclass(frozen=True, slots=True)
class _Found:
    part: Part
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
    grounding: str = STRICT,
    max_tokens: int = 320,
    evidence_tokens: int | None = EVIDENCE_TOKENS,
    cancelled: Callable[[], bool] = lambda: False,
    answerability: Answerability | None = None,
    inference: NaturalLanguageInference | None = None,
    rewrites: bool = False,
    selects: bool = False,
) -> Iterator[AnswerEvent]:
    """Started, Sources, then for each part Prompted, and Waiting, Delta and Cited as they come; at the end
    Done or Failed.

    `first_token_ms` is the time until the first Delta. Closing the iterator ends the model's stream.
    A citation comes before the text that holds its marker. `rewrites`: the chat model is fit to make the
    question stand by itself. `selects`: it can be trusted to say what is asked for, so that its answer may
    open with a sentence in other words than the question's. `max_tokens` and `evidence_tokens` (None: by the
    model's context) are for each part of the question.
    """
    if grounding not in (STRICT, FLAG):
        message = f"grounding is strict or flag, not {grounding!r}"
        raise ValueError(message)
    writer = Writer(
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
        course = Course()
        understood = understand(question, history, chat if rewrites else None, cancelled)
        judge = answerability or RuleAnswerability(embedder)
        yield from _answered(Asked(question, understood, search, judge, writer), course)
    except CairnError as error:
        yield Failed(error.code, error.message)


def _answered(asked: Asked, course: Course) -> Iterator[AnswerEvent]:
    yield Started(asked.understood.standalone)
    if not asked.understood.standalone:
        yield Sources(())
        yield _refused(asked, course, Whole(), [], say("empty", asked.language), ())
        return
    searched = [(part, deduplicated(asked.search(part.query))) for part in asked.understood.parts]
    course.retrieval_ms = course.since()
    found = [_Found(part, hits, asked.answerability.judge(part.query, hits)) for part, hits in searched]
    course.signals = found[0].judgement.signals if len(found) == 1 else {}
    told = [item for item in found if item.judgement.answerable]
    yield Sources(_merged(told))
    if not told:
        outcomes = [_untold(item) for item in found]
        yield _refused(asked, course, Whole(), outcomes, _reasons(outcomes), _merged(found))
        return
    yield from _written(asked, course, found)


def _merged(found: Sequence[_Found]) -> tuple[Hit, ...]:
    """The best of each part, then the second of each, and so on."""
    deepest = max((len(item.hits) for item in found), default=0)
    ranked = [item.hits[at] for at in range(deepest) for item in found if at < len(item.hits)]
    return _first_of_each(ranked, lambda hit: hit.chunk)


def _first_of_each(hits: Sequence[Hit], key: Callable[[Hit], UUID]) -> tuple[Hit, ...]:
    found: dict[UUID, Hit] = {}
    for hit in hits:
        found.setdefault(key(hit), hit)
    return tuple(found.values())


def _written(asked: Asked, course: Course, found: Sequence[_Found]) -> Iterator[AnswerEvent]:
    whole, outcomes = Whole(), list[Outcome]()
    for item in found:
        if course.stopped:
            reason = say("stopped", asked.language)
            outcomes.append(Outcome(item.part, "none", "refused", reason, why="stopped"))
        elif item.judgement.answerable:
            outcome = yield from write(asked.writer, course, whole, item.part, item.hits, item.judgement)
            outcomes.append(outcome)
        else:
            outcomes.append(_untold(item))
    if all(outcome.mode == "none" for outcome in outcomes):
        yield from _nothing(asked, course, whole, outcomes, _merged(found))
        return
    whole.begin()
    yield from whole.shown(_notes(outcomes, asked.language), course)
    verdict, reason = _verdict(asked, course, outcomes)
    yield Done(_answer(asked, course, whole, outcomes, verdict=verdict, reason=reason))


def _untold(item: _Found) -> Outcome:
    return Outcome(item.part, "none", "refused", item.judgement.reason, why="missing")


def _nothing(
    asked: Asked, course: Course, whole: Whole, outcomes: Sequence[Outcome], hits: Sequence[Hit]
) -> Iterator[AnswerEvent]:
    if course.failure is not None:
        yield Failed(course.failure.code, course.failure.message)
    else:
        yield _refused(asked, course, whole, outcomes, _reasons(outcomes), hits)


def _reasons(outcomes: Sequence[Outcome]) -> str:
    return " ".join(dict.fromkeys(outcome.reason for outcome in outcomes))


def _notes(outcomes: Sequence[Outcome], language: Language) -> Iterator[AnswerEvent]:
    """What is not answered is said, too."""
    notes = [say(word, language, parts=escaped(parts)) for word, parts in _unanswered(outcomes)]
    if notes:
        yield Delta("\n\n".join(notes))


def _unanswered(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, str]]:
    """That the documents do not tell is said only where they, and not the model, are at fault."""
    for word, reasons in (
        ("untold", {"missing", "abstained"}),
        ("unwritten", {"nothing_held", "model_gone"}),
    ):
        texts = [outcome.part.text for outcome in outcomes if outcome.why in reasons]
        if texts:
            yield word, " ".join(texts)


def _verdict(asked: Asked, course: Course, outcomes: Sequence[Outcome]) -> tuple[str, str]:
    if len(outcomes) == 1:
        return outcomes[0].verdict, outcomes[0].reason
    reasons = [say(word, asked.language, parts=parts) for word, parts in _unanswered(outcomes)]
    if course.stopped or course.failure:
        reasons.append(say("stopped" if course.stopped else "broken_off", asked.language))
    if lost := sum(outcome.lost for outcome in outcomes):
        what = "flagged" if asked.writer.grounding == FLAG else "dropped"
        total = lost + sum(outcome.kept for outcome in outcomes)
        reasons.append(say(what, asked.language, count=lost, total=total))
    if any(outcome.mode == "extractive" for outcome in outcomes):
        reasons.append(say("model_away" if course.failure else "extractive", asked.language))
    verdict = "partial" if reasons else "supported"
    reasons = reasons or [say("supported", asked.language)]
    if any(outcome.differs for outcome in outcomes):
        reasons.append(say("differ_reason", asked.language))
    return verdict, " ".join(reasons)


def _refused(
    asked: Asked,
    course: Course,
    whole: Whole,
    outcomes: Sequence[Outcome],
    reason: str,
    hits: Sequence[Hit],
) -> Done:
    nearest = _first_of_each(hits, lambda hit: hit.document)[:NEAREST]
    return Done(_answer(asked, course, whole, outcomes, verdict="refused", reason=reason, nearest=nearest))


def _answer(
    asked: Asked,
    course: Course,
    whole: Whole,
    outcomes: Sequence[Outcome],
    *,
    verdict: str,
    reason: str,
    nearest: tuple[Hit, ...] = (),
) -> Answer:
    modes = {outcome.mode for outcome in outcomes}
    parts = [AnsweredPart(item.part.text, item.verdict, item.reason) for item in outcomes]
    return Answer(
        question=asked.question,
        standalone_question=asked.understood.standalone,
        text=whole.text,
        verdict=verdict,
        reason=reason,
        mode=next((mode for mode in ("generated", "extractive") if mode in modes), "none"),
        citations=tuple(whole.citations),
        sentences=tuple(whole.sentences),
        nearest=nearest,
        model=asked.writer.chat.name if course.called else "",
        usage=_usage(asked, course),
        timings=Timings(course.retrieval_ms, course.first_token_ms, course.since()),
        prompt_version=VERSION if course.called else "",
        parts=tuple(parts) if len(parts) > 1 else (),
        rewrite_version=asked.understood.version,
        signals=course.signals,
        broken_off=course.failure is not None and "generated" in modes,
    )


def _usage(asked: Asked, course: Course) -> Usage:
    written = "".join(course.written)
    return Usage(course.prompt_tokens, asked.writer.chat.count_tokens(written) if written else 0)
