"""Lists documents: complete over titles and metadata, with a count, and those that mention a topic."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from cairn.answers import AnswerMode, Intent, Verdict
from cairn.library.models import DocumentQuerySet, KnowledgeBase
from retrieval.answering.generation.extractive import escape_markdown
from retrieval.answering.text.terms import content_stems
from retrieval.intents.catalogue import Catalogue, period_start
from retrieval.intents.composer import Composer, IntentContext
from retrieval.intents.document_lines import open_documents, write_documents
from retrieval.intents.messages import render_date, render_terms, render_text
from retrieval.search.hybrid_search import NO_FILTERS
from retrieval.types import AnswerEvent, Hit, Sources, Started

MAX_TITLES: Final = 20
MAX_MENTIONS: Final = 10
SEARCHED_PASSAGES: Final = 50


@dataclass(frozen=True, slots=True)
class _Listing:
    """Criteria of a list. `terms`: the words as typed; `words`: their beginnings, as SQL looks for them."""

    catalogue: Catalogue
    terms: tuple[str, ...]
    words: tuple[str, ...]
    base: KnowledgeBase | None
    since: datetime | None

    def rows(self, words: Sequence[str]) -> DocumentQuerySet:
        return self.catalogue.rows(words, self.base.id if self.base else None, self.since)

    def count(self, words: Sequence[str]) -> int:
        return self.rows(words).count()


@dataclass(frozen=True, slots=True)
class _Mentions:
    """The best passage of each document that mentions the topic. `complete`: there are no further ones."""

    hits: Sequence[Hit] = ()
    complete: bool = True


def list_documents(context: IntentContext) -> Iterator[AnswerEvent] | None:
    """Return the events of a list. None if the message may be about something that documents describe, and
    none is named like it."""
    listing = _plan(context)
    count = listing.count(listing.words)
    if not count and not context.request.explicit:
        return None
    titled = list(listing.rows(listing.words).values_list("pk", flat=True)[:MAX_TITLES])
    return _stream(context, listing, open_documents(listing.catalogue, titled), count)


def _plan(context: IntentContext) -> _Listing:
    request = context.request
    catalogue = Catalogue(context.scope, context.filters, context.language)
    base = catalogue.find_base(request.inside) if request.inside else None
    folder = "" if base else request.inside
    terms = tuple(filter(None, (request.topic, request.kind, folder)))
    words = tuple(word for term in terms for word in catalogue.prefixes(term))
    return _Listing(catalogue, terms, words, base, period_start(request.period))


def _stream(
    context: IntentContext, listing: _Listing, titled: Sequence[Hit], count: int
) -> Iterator[AnswerEvent]:
    composer, topic = Composer(context), context.request.topic
    yield Started(context.question, Intent.LIST)
    mentions = _find_mentions(context, listing) if topic else _Mentions()
    composer.run.retrieval_ms = composer.run.elapsed_ms()
    yield Sources((*titled, *mentions.hits[:MAX_MENTIONS]))
    headline = _headline(context, listing, count)
    if not (count or mentions.hits):
        yield composer.finish(Verdict.REFUSED, headline, AnswerMode.NONE, intent=Intent.LIST)
        return
    yield from composer.write(headline)
    yield from write_documents(composer, titled)
    yield from _write_rest(composer, count - len(titled))
    if topic:
        yield from _write_mentions(composer, mentions, any_titled=count > 0)
    query = _library_query(context, listing, count) if count > len(titled) else ""
    yield composer.finish(
        Verdict.SUPPORTED, "", AnswerMode.EXTRACTIVE, intent=Intent.LIST, library_query=query
    )


def _headline(context: IntentContext, listing: _Listing, count: int) -> str:
    language, base, since = context.language, listing.base, listing.since
    values = {
        "where": render_text("where", language, name=escape_markdown(base.name)) if base else "",
        "since": render_text("since", language, date=render_date(since.date(), language)) if since else "",
        "terms": render_terms(listing.terms, language),
    }
    subject = ("list_named", "list_unnamed") if listing.terms else ("list_all", "list_none")
    return render_text(subject[0 if count else 1], language, n=count, **values)


def _find_mentions(context: IntentContext, listing: _Listing) -> _Mentions:
    """Find further documents that have all words of the topic in a passage or in the headings above it."""
    stems = content_stems(context.request.topic, context.language)
    best: dict[UUID, Hit] = {}
    found = context.search(context.request.topic, SEARCHED_PASSAGES)
    for hit in found:
        if stems <= content_stems(f"{' '.join(hit.section)} {hit.text}", context.language):
            best.setdefault(hit.document, hit)
    allowed = set(listing.rows(()).filter(pk__in=best).values_list("pk", flat=True))
    titled = set(listing.rows(listing.words).filter(pk__in=best).values_list("pk", flat=True))
    hits = [hit for document, hit in best.items() if document in allowed - titled]
    return _Mentions(hits, complete=len(found) < SEARCHED_PASSAGES)


def _write_mentions(composer: Composer, mentions: _Mentions, *, any_titled: bool) -> Iterator[AnswerEvent]:
    """Write which documents only mention the topic. A search finds the nearest passages, so for a common word
    there may be more documents."""
    language, count = composer.context.language, len(mentions.hits)
    terms = render_terms([composer.context.request.topic], language)
    key = "list_mentions" if any_titled else "list_only_mentions"
    if not count:
        key = "list_no_mentions"
    elif not mentions.complete:
        key = "list_at_least"
    yield from composer.write(render_text(key, language, n=count, terms=terms))
    shown = mentions.hits[:MAX_MENTIONS]
    yield from write_documents(composer, shown)
    yield from _write_rest(composer, count - len(shown))


def _write_rest(composer: Composer, count: int) -> list[AnswerEvent]:
    return composer.write(render_text("more", composer.context.language, n=count)) if count > 0 else []


def _library_query(context: IntentContext, listing: _Listing, count: int) -> str:
    """Return the query string of the library page with the same documents; empty if it can't show these.

    `count` is their number.
    """
    scope, base = context.scope, listing.base
    if context.filters != NO_FILTERS or scope.official_only:
        return ""
    if base is None and not scope.whole:
        base = (
            KnowledgeBase.objects.in_library().filter(pk__in=scope.readable).first()
            if len(scope.readable) == 1
            else None
        )
        if base is None:
            return ""
    typed = [word for term in listing.terms for word in term.split()]
    is_same = bool(typed) and (typed == list(listing.words) or listing.count(typed) == count)
    fields = {
        "q": " ".join(typed if is_same else listing.words),
        "base": base.slug if base else "",
        "sort": "updated" if listing.since else "title",
    }
    return urlencode({name: value for name, value in fields.items() if value})
