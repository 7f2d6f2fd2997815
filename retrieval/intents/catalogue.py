"""Documents of a scope by name, in SQL: counted, and loaded a few at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final
from uuid import UUID

from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.text import slugify

from cairn.access.scope import Scope
from cairn.access.selectors import chunks_for, documents_in
from cairn.library.document_filters import DocumentFilter, filter_documents
from cairn.library.models import Chunk, DocumentQuerySet, KnowledgeBase
from retrieval.answering.text.lexicon import Language
from retrieval.answering.text.terms import content_words, stem
from retrieval.index.protocol import Filters
from retrieval.search.document_rows import narrow_documents
from retrieval.search.hybrid_search import hit_of
from retrieval.types import Hit, Scores

MIN_PREFIX: Final = 4
_NO_SCORES: Final = Scores(None, None, 0.0)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The documents that answers may use: those of the scope that pass the filters and have text."""

    scope: Scope
    filters: Filters
    language: Language

    def rows(
        self, words: Sequence[str] = (), base: UUID | None = None, since: datetime | None = None
    ) -> DocumentQuerySet:
        """Return documents with all words in title, source, file name or tags, by title."""
        found = narrow_documents(documents_in(self.scope), self.filters)
        found = found.filter(active_version__chunk_count__gt=0)
        criteria = DocumentFilter(text=" ".join(words), knowledge_base=base, updated_after=since)
        return filter_documents(found, criteria).order_by(Lower("title"), "id")

    def prefixes(self, text: str) -> list[str]:
        """Return the beginnings that content words share with their other forms; all words without any."""
        words = content_words(text, self.language)
        return [shared_prefix(word, self.language) for word in words] or text.split()

    def find_base(self, name: str) -> KnowledgeBase | None:
        """Return the readable knowledge base of this name, in whatever case."""
        readable = KnowledgeBase.objects.in_library().filter(id__in=self.scope.readable)
        matching = readable.filter(Q(name__iexact=name) | Q(slug=slugify(name) or name))
        return matching.order_by("name", "id").first()

    def load_openings(self, documents: Sequence[UUID]) -> dict[UUID, Hit]:
        """Return the first passage of each document, in the order of the documents."""
        first = Chunk.objects.filter(version=OuterRef("active_version")).order_by("ordinal").values("pk")[:1]
        rows = documents_in(self.scope).filter(pk__in=documents).annotate(opening=Subquery(first))
        openings = dict(rows.order_by().values_list("pk", "opening"))
        found = {
            chunk.version.document_id: hit_of(chunk, _NO_SCORES)
            for chunk in chunks_for(self.scope, [each for each in openings.values() if each]).order_by()
        }
        return {document: found[document] for document in documents if document in found}


def shared_prefix(word: str, language: Language) -> str:
    """Return the beginning that a word shares with its other forms: "polic" of "policies" and "policy"."""
    pairs = zip(word.casefold(), stem(word, language), strict=False)
    shared = takewhile(lambda pair: pair[0] == pair[1], pairs)
    prefix = "".join(letter for letter, _ in shared).removesuffix("i")
    return prefix if len(prefix) >= MIN_PREFIX else word


def period_start(period: str, now: datetime | None = None) -> datetime | None:
    """Return the beginning of a period that `intents.json` names; None for none."""
    day = (now or timezone.localtime()).replace(hour=0, minute=0, second=0, microsecond=0)
    match period:
        case "":
            return None
        case "today":
            return day
        case "yesterday":
            return day - timedelta(days=1)
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "year":
            return day.replace(month=1, day=1)
    return day - timedelta(days=int(period))
