"""The verdict on an answer: whether it is supported by passages, partly supported, or refused.

supported: every sentence shown can be traced to a passage, and none of the model's sentences was left out for
    lack of support (remarks about itself and repetitions do not count).
partial: something shown or left out could not be traced, the model broke off or was stopped, the passages are
    quoted in place of an answer, or not every part of the question is answered.
refused: nothing is answered. The reason says why.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cairn.answers import AnswerMode, Grounding, Verdict
from retrieval.answering.generation.sentence_gate import SentenceGate
from retrieval.answering.generation.state import GenerationContext, RunState
from retrieval.answering.query.decompose import SubQuestion
from retrieval.answering.text.messages import render_message


@dataclass(frozen=True, slots=True)
class PartResult:
    """Result of one part of a question. `cause`: message key for an unanswered part. `differs`: documents
    contradict each other. `quotes_preferred`: to sentences of the model that
    passages support, because they answer it better."""

    part: SubQuestion
    mode: AnswerMode
    verdict: Verdict
    reason: str
    cause: str = ""
    supported_count: int = 0
    unsupported_count: int = 0
    differs: bool = False
    quotes_preferred: bool = False


def build_part_result(
    context: GenerationContext,
    run: RunState,
    part: SubQuestion,
    gate: SentenceGate,
    mode: AnswerMode,
    *,
    notes: int,
) -> PartResult:
    """Return the result of a part that was generated or quoted. `notes`: shown notes on contradictions."""
    if mode == AnswerMode.NONE and not is_all_repeated(gate):
        cause = _refusal_cause(context, run, gate)
        return refuse_part(part, cause, render_message(cause, context.reply_language))
    supported_count = sum(sentence.supported for sentence in gate.sentences) - notes
    verdict, reason = _decide_verdict(context, run, gate, mode, supported_count)
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
        quotes_preferred=gate.quotes_preferred,
    )


def refuse_part(part: SubQuestion, cause: str, reason: str) -> PartResult:
    return PartResult(part, AnswerMode.NONE, Verdict.REFUSED, reason, cause=cause)


def _refusal_cause(context: GenerationContext, run: RunState, gate: SentenceGate) -> str:
    if run.failure is not None:
        return "model_gone"
    if run.stopped:
        return "stopped"
    unwritten = not context.writes or run.had_no_model
    return "abstained" if gate.abstained or unwritten else "nothing_supported"


def _decide_verdict(
    context: GenerationContext, run: RunState, gate: SentenceGate, mode: AnswerMode, supported_count: int
) -> tuple[Verdict, str]:
    """Return the verdict on the answer, and its reason."""
    if mode == AnswerMode.EXTRACTIVE:
        return Verdict.PARTIAL, _explain_quotes(context, run, quotes_preferred=gate.quotes_preferred)
    if run.failure or run.stopped:
        return Verdict.PARTIAL, _explain_interruption(context, run)
    if gate.unsupported_count:
        return Verdict.PARTIAL, _explain_unsupported(context, gate.unsupported_count, supported_count)
    return Verdict.SUPPORTED, render_message("supported", context.language)


def _explain_quotes(context: GenerationContext, run: RunState, *, quotes_preferred: bool) -> str:
    if not context.writes:
        return render_message("quoted", context.language)
    if run.had_no_model:
        return render_message("no_model", context.language)
    if run.failure:
        return render_message("model_away", context.language)
    return render_message("quotes_preferred" if quotes_preferred else "extractive", context.language)


def _explain_interruption(context: GenerationContext, run: RunState) -> str:
    return render_message("broken_off" if run.failure else "stopped", context.language)


def _explain_unsupported(context: GenerationContext, count: int, supported_count: int) -> str:
    key = "flagged" if context.grounding == Grounding.FLAG else "dropped"
    return render_message(key, context.language, count=count, total=supported_count + count)


def combine_verdicts(
    context: GenerationContext, run: RunState, results: Sequence[PartResult]
) -> tuple[Verdict, str]:
    """Return the verdict on all parts together, and its reasons. No parts: the question is empty."""
    if not results:
        return Verdict.REFUSED, render_message("empty", context.reply_language)
    if all(result.mode == AnswerMode.NONE for result in results):
        return Verdict.REFUSED, " ".join(dict.fromkeys(result.reason for result in results))
    if len(results) == 1:
        return results[0].verdict, results[0].reason
    reasons = [
        render_message(key, context.language, parts=questions)
        for key, questions in group_unanswered_by_cause(results)
    ]
    if run.stopped or run.failure:
        reasons.append(_explain_interruption(context, run))
    if unsupported_count := sum(result.unsupported_count for result in results):
        supported_count = sum(result.supported_count for result in results)
        reasons.append(_explain_unsupported(context, unsupported_count, supported_count))
    if quoted := [result for result in results if result.mode == AnswerMode.EXTRACTIVE]:
        quotes_preferred = all(result.quotes_preferred for result in quoted)
        reasons.append(_explain_quotes(context, run, quotes_preferred=quotes_preferred))
    verdict = Verdict.PARTIAL if reasons else Verdict.SUPPORTED
    reasons = reasons or [render_message("supported", context.language)]
    if any(result.differs for result in results):
        reasons.append(render_message("differ_reason", context.language))
    return verdict, " ".join(reasons)


def group_unanswered_by_cause(results: Sequence[PartResult]) -> Iterator[tuple[str, str]]:
    """Yield message keys and unanswered questions. Documents are only blamed if they, and not the model, are
    at fault."""
    for key, causes in (
        ("untold", {"missing", "abstained"}),
        ("unwritten", {"nothing_supported", "model_gone"}),
    ):
        texts = [result.part.text for result in results if result.cause in causes]
        if texts:
            yield key, " ".join(texts)


def is_all_repeated(gate: SentenceGate) -> bool:
    """Return whether the answer to an earlier part already has everything that the model wrote."""
    repeated = render_message("repeated", gate.language)
    return bool(gate.sentences) and all(item.reason == repeated for item in gate.sentences)
