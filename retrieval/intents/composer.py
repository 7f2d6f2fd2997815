"""Composes an answer from Cairn's own sentences and what they cite."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from cairn.access.scope import Scope
from cairn.answers import AnswerMode, Intent, Verdict
from retrieval.answering.generation.sentence_gate import append_mark, build_citation
from retrieval.answering.generation.state import AnswerBuffer, GenerationContext, RunState
from retrieval.answering.protocols import Judgement
from retrieval.answering.query.intents import IntentRequest
from retrieval.answering.text.citation_markers import format_markers
from retrieval.answering.text.lexicon import Language
from retrieval.index.protocol import Filters, VectorIndex
from retrieval.types import (
    Answer,
    AnswerEvent,
    CheckedSentence,
    Cited,
    Delta,
    Done,
    Hit,
    Location,
    Timings,
    Usage,
)


class SearchPassages(Protocol):
    def __call__(self, query: str, limit: int = ...) -> Sequence[Hit]:
        """Return at most so many hits, best first."""


@dataclass(frozen=True, slots=True)
class IntentContext:
    """Everything that a message with an intent is answered with.

    `answer_search` finds the evidence of answers; `search` more, and without a reranker. `judge`: decides
    whether hits can answer a question. `cited`: finds a document that an earlier answer cites,
    by its position.
    """

    question: str
    request: IntentRequest
    scope: Scope
    filters: Filters
    search: SearchPassages
    answer_search: SearchPassages
    index: VectorIndex
    generation: GenerationContext
    judge: Callable[[str, Sequence[Hit]], Judgement]
    cited: Callable[[int], UUID | None] = lambda _: None

    @property
    def language(self) -> Language:
        return self.generation.language


@dataclass(slots=True)
class Composer:
    """The answer so far."""

    context: IntentContext
    run: RunState = field(default_factory=RunState)
    buffer: AnswerBuffer = field(default_factory=AnswerBuffer)

    def write(self, text: str, *, joins: bool = False) -> list[AnswerEvent]:
        """Add a paragraph of Cairn's own words. `joins`: it goes on right below the text so far."""
        if not joins:
            self.buffer.start_paragraph()
        return self.buffer.add([Delta(f"\n{text}" if joins else text)], self.run)

    def cite(
        self, text: str, hit: Hit, quote: str, *, joins: bool = False, whole: bool = False
    ) -> list[AnswerEvent]:
        """Add text that a quote supports, with its marker. `whole`: the citation is of the document, so
        nobody looks for the quote on its page, which takes long in a large file."""
        number = self.mark(hit, quote)
        locate = _locate_start if whole else self.context.generation.locate
        citation = build_citation(number, hit, quote, locate)
        is_new = all(each.marker != number for each in self.buffer.citations)
        if is_new:
            self.buffer.citations.append(citation)
        self.buffer.sentences.append(CheckedSentence(text, supported=True, markers=(number,)))
        written = self.write(append_mark(text, format_markers((number,))), joins=joins)
        return [*([Cited(citation)] if is_new else []), *written]

    def mark(self, hit: Hit, quote: str) -> int:
        markers = self.buffer.markers
        return markers.setdefault((hit.chunk, quote), len(markers) + 1)

    def finish(
        self,
        verdict: Verdict,
        reason: str,
        mode: AnswerMode,
        *,
        intent: Intent,
        library_query: str = "",
        nearest: Sequence[Hit] = (),
    ) -> Done:
        """Return the last event."""
        run, generation = self.run, self.context.generation
        written = "".join(run.pieces)
        return Done(
            Answer(
                question=self.context.question,
                standalone_question=self.context.question,
                text=self.buffer.text,
                verdict=verdict,
                reason=reason,
                mode=mode,
                citations=tuple(self.buffer.citations),
                sentences=tuple(self.buffer.sentences),
                nearest=tuple(nearest),
                model=run.route.model,
                route=run.route,
                usage=Usage(run.prompt_tokens, generation.chat.count_tokens(written) if written else 0),
                timings=Timings(run.retrieval_ms, run.first_token_ms, run.elapsed_ms()),
                prompt_version=generation.evidence.full_prompt_version if run.called else "",
                failure=run.failure,
                broken_off=run.failure is not None and mode == AnswerMode.GENERATED,
                intent=intent,
                library_query=library_query,
            )
        )


def _locate_start(hit: Hit, _quote: str) -> Location:
    return Location(hit.page, (), hit.location)
