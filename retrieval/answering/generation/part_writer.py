"""Generation of one part of an answer, from its evidence to checked events."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property

from cairn.answers import AnswerMode
from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.protocols import Reranker
from cairn.telemetry.context import close_iterator
from cairn.telemetry.metrics import count_model_failure
from cairn.telemetry.span_attributes import SpanKind, chat_attributes, token_attributes
from cairn.telemetry.tracing import PausableStep
from retrieval.answering.answerability.signals import block_text
from retrieval.answering.evidence_budget import EvidenceBudget
from retrieval.answering.generation.conflict_note import conflict_notes
from retrieval.answering.generation.extractive import Extract, arrange_for_reading, extract_blocks
from retrieval.answering.generation.quote_first import QuoteFirstReader
from retrieval.answering.generation.relevance import RelevanceToQuestion, rate_most_relevant
from retrieval.answering.generation.sentence_gate import SentenceGate
from retrieval.answering.generation.state import NO_MODEL, AnswerBuffer, GenerationContext, RunState
from retrieval.answering.generation.verdict import PartResult, build_part_result, is_all_repeated
from retrieval.answering.generation.whole_lists import complete_list
from retrieval.answering.grounding.check import SentenceChecker
from retrieval.answering.grounding.reranker_languages import is_foreign, supports_language
from retrieval.answering.prompts.evidence import Passage, collect_documents
from retrieval.answering.prompts.prompt import QUOTE_FIRST_VERSION
from retrieval.answering.protocols import ChatModel, Judgement, choose_model, give_up, route_of
from retrieval.answering.query.decompose import SubQuestion
from retrieval.answering.text.sentences import SentenceStream
from retrieval.types import AnswerEvent, Hit, ModelRoute, Prompted, Waiting

LOOP_CHARACTERS = 120
MAX_QUOTES_RATED = 3  # where the search wasn't reranked: few enough to be in time


class PartWriter:
    """Writes one part of an answer: `stream`, then `add_quotes_and_notes`, then `build_result`."""

    def __init__(
        self,
        context: GenerationContext,
        run: RunState,
        buffer: AnswerBuffer,
        part: SubQuestion,
        hits: Sequence[Hit],
        judgement: Judgement,
    ) -> None:
        self._context = context
        self._run = run
        self._buffer = buffer
        self._part = part
        self._hits = hits
        self._judgement = judgement
        self._prepare()
        self._mode = AnswerMode.NONE
        self._note_count = 0

    def _prepare(self) -> None:
        """Choose the model, and prepare what reads its text."""
        context, buffer = self._context, self._buffer
        self._chat, self._budget, self._evidence = self._choose_model()
        self._checker = SentenceChecker(
            self._evidence,
            context.embedder,
            question=self._part.query,
            reason_language=context.language,
            inference=context.inference,
            reranker=self._find_checking_reranker() if context.selects else None,
        )
        self._gate = SentenceGate(
            self._part.query, self._checker, context.locate, context.grounding, context.language,
            citations=buffer.citations, markers=buffer.markers, seen_stems=buffer.seen_stems,
            selects=context.selects,
        )  # fmt: skip
        self._quote_first = (
            QuoteFirstReader([passage.text for passage in self._evidence])
            if self._budget.prompt_version == QUOTE_FIRST_VERSION
            else None
        )

    def _choose_model(self) -> tuple[ChatModel | None, EvidenceBudget, list[Passage]]:
        """Return the model that may read the best passages, and as many of them as fit its context."""
        budget, query = self._context.evidence, self._part.query
        if not self._context.writes:
            return None, budget, []
        passages = budget.select_passages(query, self._hits)
        if not passages:  # the question alone may name what an outside model may not read
            return None, budget, []
        chat = choose_model(self._context.chat, collect_documents(passages))
        if chat is None:
            self._run.take_route(ModelRoute(reason=NO_MODEL))
            return None, budget, []
        if not getattr(chat, "is_fallback", False):
            return chat, budget, passages
        own = replace(budget, chat=chat)
        return chat, own, own.select_passages(query, self._hits)

    def stream(self) -> Iterator[AnswerEvent]:
        """Yield Prompted, Waiting, and the checked text as the model writes it, until the model fails.

        Closing the iterator ends the model's stream.
        """
        self._buffer.start_paragraph()
        if self._run.failure is not None or self._chat is None:
            return
        sentences, place = SentenceStream(), None
        try:
            with self._open_model_stream(self._chat) as (stream, pieces):
                yield Prompted()
                self._checker.prepare()
                self._gate.relevance = self._build_relevance()
                for piece in pieces:
                    if self._context.cancelled():
                        self._run.stopped = True
                        return
                    before, place = place, getattr(stream, "place", None)
                    if place is not None and place != before:
                        yield Waiting(place)
                    self._run.pieces.append(piece)
                    for unit in sentences.feed(self._read(piece)):
                        yield from self._show(self._gate.feed(unit))
                    if self._is_finished(sentences.pending):
                        return
                for unit in [*sentences.feed(self._read_rest()), *sentences.close()]:
                    yield from self._show(self._gate.feed(unit, last=True))
        except (Unavailable, ConfigurationError) as error:
            yield from self._recover(self._chat, error)

    def _recover(self, chat: ChatModel, error: Unavailable | ConfigurationError) -> Iterator[AnswerEvent]:
        """Let the active model write in place of a candidate that has shown nothing yet. After any other
        model that is unavailable, what it has written stays; other errors are raised again."""
        if isinstance(error, Unavailable):
            count_model_failure("chat")
        if give_up(chat) and not self._gate.opened:
            self._prepare()
            yield from self.stream()
        elif isinstance(error, Unavailable):
            self._run.failure = error
        else:
            raise error

    @contextmanager
    def _open_model_stream(self, chat: ChatModel) -> Iterator[tuple[Iterator[str], Iterator[str]]]:
        """Start the model. Yields its stream, which knows its place in the queue, and the pieces of text."""
        messages = self._budget.prompt.messages(self._part.query, self._evidence)
        run, start = self._run, len(self._run.pieces)
        prompt_tokens = sum(chat.count_tokens(str(message.content)) for message in messages)
        run.prompt_tokens += prompt_tokens
        run.called = True
        run.take_route(route_of(chat))
        stream = chat.stream(messages, max_tokens=self._budget.max_tokens)
        source = getattr(stream, "with_pauses", lambda: stream)()
        step = PausableStep("write", SpanKind.LLM, chat_attributes(chat.name))
        with ExitStack() as ending:
            ending.callback(
                step.end,
                lambda: token_attributes(prompt_tokens, chat.count_tokens("".join(run.pieces[start:]))),
            )
            ending.callback(close_iterator, stream)
            ending.callback(close_iterator, source)
            yield stream, step.iterate(source)

    def _find_checking_reranker(self) -> Reranker | None:
        """Return the reranker if it reads the evidence, also if it was late for the search: a sentence needs
        only a few of its scores, which have a time limit of their own."""
        reranker = self._context.reranker
        evidence = "\n".join(passage.text for passage in self._evidence)
        return reranker if reranker and supports_language(reranker, evidence) else None

    def _build_relevance(self) -> RelevanceToQuestion | None:
        """Rate the quotes while the model reads the prompt: its sentences must be as relevant. If the search
        wasn't reranked, only the first ones are rated."""
        reranker, query = self._find_checking_reranker(), self._part.query
        if reranker is None or not self._extracts or is_foreign(reranker, query):
            return None
        best = self._extracts[0].relevance
        if best is None:
            first = [
                each for each in self._extracts[:MAX_QUOTES_RATED] if not is_foreign(reranker, each.quote)
            ]
            texts = [block_text(each.hit, each.quote) for each in first]
            best = rate_most_relevant(query, texts, reranker) if texts else None
        return RelevanceToQuestion(query, reranker, best)

    @cached_property
    def _extracts(self) -> list[Extract]:
        context = self._context
        was_reranked = any(hit.scores.rerank is not None for hit in self._hits)
        reranker = context.reranker if was_reranked else None  # it reads the question's language, too
        return extract_blocks(self._part.query, self._hits, context.embedder, context.language, reranker)

    def _show(self, events: Iterable[AnswerEvent]) -> list[AnswerEvent]:
        return self._buffer.add(events, self._run)

    def _read(self, piece: str) -> str:
        return piece if self._quote_first is None else self._quote_first.feed(piece)

    def _read_rest(self) -> str:
        return "" if self._quote_first is None else self._quote_first.close()

    def _is_finished(self, pending: str) -> bool:
        if self._quote_first is not None and self._quote_first.is_rejected:
            return True
        return self._gate.is_hopeless or self._gate.abstained or _is_looping(pending)

    def add_quotes_and_notes(self) -> list[AnswerEvent]:
        """Return quotes if nothing that the model wrote may be shown, and notes on contradictions."""
        gate, context, events = self._gate, self._context, list[AnswerEvent]()
        if gate.opened:
            self._mode = AnswerMode.GENERATED
        else:
            gate.discard_pending()
            blocks = self._find_quotable_blocks()
            self._mode = AnswerMode.EXTRACTIVE if blocks else AnswerMode.NONE
            new = [block for block in blocks if (block.hit.chunk, block.quote) not in self._buffer.markers]
            events += self._show(gate.add_quotes(new))
        notes = conflict_notes(self._part.query, gate, self._hits, context.language)
        for note in notes:
            events += self._show(gate.add_note(note.render, note.grounds))
        self._note_count = len(notes)
        self._buffer.sentences += gate.sentences
        return events

    def _find_quotable_blocks(self) -> list[Extract]:
        """Return blocks to quote if the evidence is strong."""
        gate = self._gate
        if not self._judgement.strong or gate.abstained or self._run.stopped or is_all_repeated(gate):
            return []
        return arrange_for_reading(complete_list(self._extracts, self._context.load_passage))

    def build_result(self) -> PartResult:
        return build_part_result(
            self._context, self._run, self._part, self._gate, self._mode, notes=self._note_count
        )


def _is_looping(pending: str) -> bool:
    """Return whether an unfinished sentence repeats its last words over and over."""
    if len(pending) < LOOP_CHARACTERS or len(pending) % 8:  # checking each new character would be slow
        return False
    tail = pending[-LOOP_CHARACTERS:]
    periods = range(1, LOOP_CHARACTERS // 3 + 1)  # repeated at least three times
    return any(tail[period:] == tail[:-period] for period in periods)
