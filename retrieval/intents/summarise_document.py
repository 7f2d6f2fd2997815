"""Summarises a document section by section: in the model's words, checked as in any answer, or in quotes."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from cairn.access.selectors import chunks_for
from cairn.answers import AnswerMode, Intent, Verdict
from cairn.inference.protocols import Vectors
from cairn.library.models import Document
from retrieval.answering.generation.extractive import (
    Extract,
    escape_markdown,
    escape_quoted_text,
    quote_table,
)
from retrieval.answering.generation.part_writer import PartWriter
from retrieval.answering.generation.verdict import PartResult, combine_verdicts
from retrieval.answering.protocols import Judgement
from retrieval.answering.query.decompose import SubQuestion
from retrieval.answering.text.messages import render_message
from retrieval.intents.catalogue import Catalogue
from retrieval.intents.central_sentences import choose_sentences, rank_passages
from retrieval.intents.composer import Composer, IntentContext
from retrieval.intents.document_lines import has_own_text, open_documents, shorten
from retrieval.intents.find_document import refuse_unknown, show_documents
from retrieval.intents.messages import render_number, render_share, render_text
from retrieval.intents.named_documents import MAX_NAMED, find_named_documents
from retrieval.intents.sections import Section, choose_longest, load_outline, split_sections
from retrieval.search.hybrid_search import hit_of
from retrieval.types import AnswerEvent, Hit, Scores, Sources, Started

MAX_SECTIONS: Final = 20
FEW_SECTIONS: Final = 6
"""So many sections get two sentences each; more get one."""
PASSAGES_QUOTED: Final = 2
PASSAGES_READ: Final = 6
VECTORS_AT_ONCE: Final = 1000
_STRONG: Final = Judgement(answerable=True, strong=True)
_NO_SCORES: Final = Scores(None, None, 0.0)


def summarise_document(context: IntentContext) -> Iterator[AnswerEvent]:
    """Return the events of a summary, of a question which document is meant, or of a refusal if there is
    none."""
    catalogue = Catalogue(context.scope, context.filters, context.language)
    if not context.request.topic:
        return _summarise(context, catalogue, _find_previous(context))
    named = find_named_documents(catalogue, context.request.topic)
    if named.only:
        return _summarise(context, catalogue, named.only)
    if context.request.refers_back and (previous := _find_previous(context)):
        return _summarise(context, catalogue, previous)
    if named.count == 0 and context.scope.attached == context.scope.readable:
        files = list(catalogue.rows().values_list("pk", flat=True))
        return show_documents(
            context, open_documents(catalogue, files[:MAX_NAMED]), "summary_which", len(files)
        )
    if named.count:
        return show_documents(context, open_documents(catalogue, named.best), "summary_which", named.count)
    return refuse_unknown(context, Intent.SUMMARISE)


def _find_previous(context: IntentContext) -> UUID | None:
    """Return the document to which the question is limited, else the one cited before it."""
    chosen = context.filters.document_ids
    return chosen[0] if chosen and len(chosen) == 1 else context.cited(context.request.position)


def _summarise(
    context: IntentContext, catalogue: Catalogue, document_id: UUID | None
) -> Iterator[AnswerEvent]:
    document = catalogue.rows().filter(pk=document_id).first() if document_id else None
    if document is None or document.active_version_id is None:
        return refuse_unknown(context, Intent.SUMMARISE)
    sections = split_sections(load_outline(document.active_version_id))
    return _Summary(context, document, sections).stream()


@dataclass(slots=True)
class _Summary:
    context: IntentContext
    document: Document
    sections: Sequence[Section]
    composer: Composer = field(init=False)
    results: list[PartResult] = field(default_factory=list)
    quotes: int = 0

    def __post_init__(self) -> None:
        self.composer = Composer(self.context)

    def stream(self) -> Iterator[AnswerEvent]:
        run, generation = self.composer.run, self.context.generation
        chosen = choose_longest(self.sections, MAX_SECTIONS)
        yield Started(self.context.question, Intent.SUMMARISE)
        vectors = self._load_vectors(chosen)
        passages = [self._load_passages(section, vectors) for section in chosen]
        chosen, passages = self._drop_bare_headings(chosen, passages)
        run.retrieval_ms = run.elapsed_ms()
        yield Sources(tuple(hit for hits in passages for hit in hits))
        if self.context.request.sentences:
            yield from self._write_shortly([hits[0] for hits in passages if hits])
            yield self._finish(self.sections)
            return
        yield from self._write_opening(chosen)
        for number, (section, hits) in enumerate(zip(chosen, passages, strict=True), start=1):
            if generation.cancelled():
                run.stopped = True
            if run.stopped:
                break
            if hits:
                yield from self._write_section(section, hits, number, len(chosen))
        yield self._finish(chosen)

    def _load_vectors(self, sections: Sequence[Section]) -> dict[UUID, Vectors]:
        ids = [passage.id for section in sections for passage in section.passages]
        found: dict[UUID, Vectors] = {}
        for at in range(0, len(ids), VECTORS_AT_ONCE):
            found |= self.context.index.vectors(ids[at : at + VECTORS_AT_ONCE])
        return found

    def _load_passages(self, section: Section, vectors: dict[UUID, Vectors]) -> list[Hit]:
        """Return the most central passages, in order, that may be read now."""
        most = PASSAGES_READ if self.context.generation.writes else PASSAGES_QUOTED
        ids = rank_passages(section, vectors)[:most]
        rows = chunks_for(self.context.scope, ids).order_by("ordinal")
        return [hit_of(row, _NO_SCORES) for row in rows]

    def _drop_bare_headings(
        self, chosen: Sequence[Section], passages: Sequence[Sequence[Hit]]
    ) -> tuple[list[Section], list[list[Hit]]]:
        """Leave out sections that consist of a title, and passages that do."""
        language = self.context.language
        own_text = [[hit for hit in hits if has_own_text(hit, language)] for hits in passages]
        bare = [bool(hits) and not own for hits, own in zip(passages, own_text, strict=True)]
        if all(bare):
            return list(chosen), [list(hits) for hits in passages]
        dropped = [section for section, is_bare in zip(chosen, bare, strict=True) if is_bare]
        self.sections = [section for section in self.sections if section not in dropped]
        pairs = [
            pair
            for pair, is_bare in zip(zip(chosen, own_text, strict=True), bare, strict=True)
            if not is_bare
        ]
        return [section for section, _ in pairs], [hits for _, hits in pairs]

    def _write_shortly(self, hits: Sequence[Hit]) -> Iterator[AnswerEvent]:
        """Quote the most central sentences of the whole document, as many as were asked for."""
        yield from self._quote(hits, self.context.request.sentences or 1)

    def _write_opening(self, chosen: Sequence[Section]) -> Iterator[AnswerEvent]:
        language, title = self.context.language, escape_markdown(self.document.title)
        yield from self.composer.write(render_text("summary_opening", language, title=title))
        if note := self._describe_coverage(chosen):
            yield from self.composer.write(note)

    def _describe_coverage(self, chosen: Sequence[Section]) -> str:
        if len(chosen) == len(self.sections):
            return ""
        language = self.context.language
        share = sum(each.tokens for each in chosen) / max(1, sum(each.tokens for each in self.sections))
        return render_text(
            "summary_partial",
            language,
            n=len(chosen),
            sections=render_number(len(self.sections), language),
            share=render_share(share, language),
        )

    def _write_section(
        self, section: Section, hits: Sequence[Hit], number: int, total: int
    ) -> Iterator[AnswerEvent]:
        if heading := self._name(section, number, total):
            yield from self.composer.write(f"**{escape_markdown(heading)}**")
        written = False
        if self.context.generation.writes and self.composer.run.failure is None:
            written = yield from self._write_in_own_words(section, hits)
        if not (written or self.composer.run.stopped):
            yield from self._quote(hits, 2 if len(self.sections) <= FEW_SECTIONS else 1)

    def _name(self, section: Section, number: int, total: int) -> str:
        language, pages = self.context.language, section.pages
        if section.heading or total == 1:
            return section.heading
        if pages:
            key = "summary_page" if pages[0] == pages[1] else "summary_pages"
            return render_text(key, language, first=str(pages[0]), last=str(pages[1]))
        return render_text("summary_part", language, n=number, total=render_number(total, language))

    def _write_in_own_words(
        self, section: Section, hits: Sequence[Hit]
    ) -> Generator[AnswerEvent, None, bool]:
        """Let the model write about the section; return whether anything is shown."""
        composer, context = self.composer, self.context
        subject = f"{self.document.title}: {section.heading}" if section.heading else self.document.title
        before = len(composer.buffer.text)
        part = SubQuestion(subject, subject)
        writer = PartWriter(context.generation, composer.run, composer.buffer, part, hits, _STRONG)
        yield from writer.stream()
        if len(composer.buffer.text) == before:
            return False
        yield from writer.add_quotes_and_notes()
        self.results.append(writer.build_result())
        return True

    def _quote(self, hits: Sequence[Hit], most: int) -> Iterator[AnswerEvent]:
        for quote in self._choose_quotes(hits, most):
            self.quotes += 1
            yield from self.composer.cite(quote.markdown, quote.hit, quote.quote)

    def _choose_quotes(self, hits: Sequence[Hit], most: int) -> list[Extract]:
        """Choose central sentences; without any, the start of a table, or of the text."""
        generation = self.context.generation
        if sentences := choose_sentences(hits, generation.embedder, generation.language, most):
            return [_quote_text(sentence.hit, sentence.text) for sentence in sentences]
        tables = [table for hit in hits if (table := quote_table(hit))]
        return tables[:1] or [_quote_text(hit, shorten(hit.text)) for hit in hits[:1]]

    def _finish(self, chosen: Sequence[Section]) -> AnswerEvent:
        run, language = self.composer.run, self.context.language
        if not (self.results or self.quotes):
            verdict, reason, mode = Verdict.REFUSED, self._explain_nothing(), AnswerMode.NONE
        elif self.results:
            verdict, reason = combine_verdicts(self.context.generation, run, self.results)
            mode = AnswerMode.GENERATED
            if self.quotes:
                verdict, reason = Verdict.PARTIAL, f"{reason} {render_message('extractive', language)}"
        else:
            reason = render_message("stopped" if run.stopped else "quoted", language)
            verdict, mode = Verdict.PARTIAL, AnswerMode.EXTRACTIVE
        if mode is not AnswerMode.NONE:
            reason = f"{reason} {self._describe_coverage(chosen)}".strip()
        return self.composer.finish(verdict, reason, mode, intent=Intent.SUMMARISE)

    def _explain_nothing(self) -> str:
        key = "stopped" if self.composer.run.stopped else "no_hits"
        return render_message(key, self.context.generation.reply_language)


def _quote_text(hit: Hit, text: str) -> Extract:
    return Extract(hit, text, f"> {escape_quoted_text(' '.join(text.split()))}")
