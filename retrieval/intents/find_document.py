"""Finds a document: the best matches by name, and failing that by content."""

from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from cairn.answers import AnswerMode, Intent, Verdict
from retrieval.answering.generation.pipeline import MAX_NEAREST_DOCUMENTS
from retrieval.answering.text.messages import render_message
from retrieval.answering.text.terms import content_stems
from retrieval.intents.catalogue import Catalogue
from retrieval.intents.composer import Composer, IntentContext
from retrieval.intents.document_lines import open_documents, write_documents
from retrieval.intents.messages import render_terms, render_text
from retrieval.intents.named_documents import MAX_NAMED, find_named_documents
from retrieval.types import AnswerEvent, Hit, Sources, Started

SEARCHED_PASSAGES: Final = 30


def find_document(context: IntentContext) -> Iterator[AnswerEvent] | None:
    """Return the events that show matching documents. None if no document has the name, and the message may
    be about something else than a document."""
    catalogue = Catalogue(context.scope, context.filters, context.language)
    named = find_named_documents(catalogue, context.request.topic)
    if named.count:
        key = "find_one" if named.count == 1 else "find_several"
        if named.count > len(named.best):
            key = "find_best"
        return show_documents(context, open_documents(catalogue, named.best), key, named.count)
    if not context.request.explicit:
        return None
    return _show_by_content(context, catalogue)


def show_documents(
    context: IntentContext, hits: Sequence[Hit], key: str, count: int
) -> Iterator[AnswerEvent]:
    """Yield the events of an answer that shows these documents. `key`: of the sentence above them."""
    composer = Composer(context)
    yield Started(context.question, Intent.FIND)
    composer.run.retrieval_ms = composer.run.elapsed_ms()
    yield Sources(tuple(hits))
    terms = render_terms([context.request.topic], context.language)
    yield from composer.write(render_text(key, context.language, n=count, terms=terms))
    yield from write_documents(composer, hits, snippets=True)
    yield composer.finish(Verdict.SUPPORTED, "", AnswerMode.EXTRACTIVE, intent=Intent.FIND)


def refuse_unknown(context: IntentContext, intent: Intent) -> Iterator[AnswerEvent]:
    """Yield the events for a document that isn't there, or isn't there for the asker. They name the documents
    that are closest to what was asked for."""
    yield Started(context.question, intent)
    yield Sources(())
    topic = context.request.topic
    nearest: dict[UUID, Hit] = {}
    for hit in context.search(topic, SEARCHED_PASSAGES) if topic else ():
        nearest.setdefault(hit.document, hit)
    reason = render_message("no_title" if nearest else "no_hits", context.generation.reply_language)
    hits = list(nearest.values())[:MAX_NEAREST_DOCUMENTS]
    yield Composer(context).finish(Verdict.REFUSED, reason, AnswerMode.NONE, intent=intent, nearest=hits)


def _show_by_content(context: IntentContext, catalogue: Catalogue) -> Iterator[AnswerEvent]:
    """Show documents with a passage that has most words of the topic, the best passage of each."""
    stems = content_stems(context.request.topic, context.language)
    best: dict[UUID, Hit] = {}
    for hit in context.search(context.request.topic, SEARCHED_PASSAGES):
        given = content_stems(f"{hit.title} {' '.join(hit.section)} {hit.text}", context.language)
        if stems <= given:
            best.setdefault(hit.document, hit)
    allowed = set(catalogue.rows().filter(pk__in=best).values_list("pk", flat=True))
    hits = [hit for document, hit in best.items() if document in allowed][:MAX_NAMED]
    if not hits:
        return refuse_unknown(context, Intent.FIND)
    return show_documents(context, hits, "find_content", len(hits))
