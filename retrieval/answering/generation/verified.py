"""Verified answers, written and vouched for by a person: shown as they are, without a model and without
checks."""

from collections.abc import Sequence

from cairn.answers import AnswerMode, Verdict
from cairn.hidden_characters import visible
from retrieval.answering.generation.sentence_gate import append_mark, build_citation, strip_fences
from retrieval.answering.generation.state import AnswerBuffer, GenerationContext, RunState
from retrieval.answering.generation.verdict import PartResult
from retrieval.answering.query.decompose import SubQuestion
from retrieval.answering.text.citation_markers import format_markers
from retrieval.answering.text.markdown_filter import escape_brackets, format_code_block, sanitize_markdown
from retrieval.answering.text.messages import render_message
from retrieval.answering.text.sentences import Kind, Unit, split_sentences
from retrieval.types import AnswerEvent, CheckedSentence, Cited, Delta, VerifiedText


def show_verified_answers(
    context: GenerationContext, run: RunState, buffer: AnswerBuffer, answers: Sequence[VerifiedText]
) -> list[AnswerEvent]:
    """Return the events that show the answers, one paragraph or more for each."""
    return [event for answer in answers for event in _show(context, run, buffer, answer)]


def _show(
    context: GenerationContext, run: RunState, buffer: AnswerBuffer, answer: VerifiedText
) -> list[AnswerEvent]:
    passage = answer.hit
    number = buffer.markers.setdefault((passage.chunk, passage.text), len(buffer.markers) + 1)
    citation = build_citation(number, passage, passage.text, context.locate)
    is_new = citation not in buffer.citations
    if is_new:
        buffer.citations.append(citation)
    units = split_sentences(visible(answer.text))
    buffer.sentences += [CheckedSentence(unit.body, supported=True, markers=(number,)) for unit in units]
    text = append_mark("".join(map(_render, units)).strip("\n"), format_markers((number,)))
    buffer.start_paragraph()
    return buffer.add([*([Cited(citation)] if is_new else []), Delta(text)], run)


def _render(unit: Unit) -> str:
    """Render without links and pictures, like all answers: some programs load them. Links come with
    the citation."""
    if unit.kind is Kind.CODE:
        return f"{unit.lead}{format_code_block(strip_fences(unit.body))}"
    return f"{unit.lead}{unit.prefix}{escape_brackets(sanitize_markdown(unit.body))}"


def build_verified_result(
    context: GenerationContext, part: SubQuestion, answers: Sequence[VerifiedText]
) -> PartResult:
    key = "verified" if len(answers) == 1 else "verified_several"
    reason = render_message(key, context.language)
    return PartResult(part, AnswerMode.VERIFIED, Verdict.SUPPORTED, reason, supported_count=len(answers))
