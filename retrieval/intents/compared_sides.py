"""What a comparison knows about each side: passages by topic, and which topics of two sides match."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import numpy as np

from cairn.access.selectors import chunks_for
from cairn.inference.protocols import Embedder
from retrieval.answering.generation.extractive import extract_blocks
from retrieval.answering.prompts.evidence import deduplicate
from retrieval.answering.text.lexicon import Language
from retrieval.answering.text.terms import content_stems, likeness
from retrieval.intents.catalogue import Catalogue
from retrieval.intents.composer import IntentContext
from retrieval.intents.document_lines import has_own_text, shorten
from retrieval.intents.named_documents import find_named_documents
from retrieval.intents.sections import Section, choose_longest, load_outline, split_sections
from retrieval.search.hybrid_search import hit_of
from retrieval.types import Hit, Scores

MAX_TOPICS: Final = 10
PASSAGES_PER_TOPIC: Final = 3
FOUND_TOPICS: Final = 2
QUOTE_CHARACTERS: Final = 400
MIN_SIMILARITY: Final = 0.5
_NUMBERING: Final = re.compile(r"^[\d.§\s]+")
_NO_SCORES: Final = Scores(None, None, 0.0)


@dataclass(frozen=True, slots=True)
class Topic:
    """Passages of one side about the same thing. `heading`: of their section, if it is known."""

    heading: str
    quote: str
    hit: Hit
    hits: Sequence[Hit]


@dataclass(frozen=True, slots=True)
class Side:
    """A side of a comparison. `topics` is empty if the documents have nothing about it. `is_document`: it
    names a document, whose sections these are."""

    name: str
    topics: Sequence[Topic]
    is_document: bool = False

    @property
    def hits(self) -> list[Hit]:
        return [hit for topic in self.topics for hit in topic.hits]


def find_sides(context: IntentContext) -> list[Side]:
    """Return what there is about each side: sections of the documents named, else what a search finds."""
    names = context.request.sides
    catalogue = Catalogue(context.scope, context.filters, context.language)
    documents = [find_named_documents(catalogue, name).only for name in names]
    if None not in documents and len(set(documents)) == len(names):
        return [
            Side(name, _load_topics(context, catalogue, name, document), is_document=True)
            for name, document in zip(names, documents, strict=True)
            if document
        ]
    return [_search_side(context, name, [each for each in names if each != name]) for name in names]


def _load_topics(context: IntentContext, catalogue: Catalogue, name: str, document_id: UUID) -> list[Topic]:
    document = catalogue.rows().filter(pk=document_id).first()
    if document is None or document.active_version_id is None:
        return []
    sections = choose_longest(split_sections(load_outline(document.active_version_id)), MAX_TOPICS)
    return [topic for section in sections if (topic := _load_topic(context, name, section))]


def _load_topic(context: IntentContext, name: str, section: Section) -> Topic | None:
    ids = [passage.id for passage in section.passages[:PASSAGES_PER_TOPIC]]
    rows = chunks_for(context.scope, ids).order_by("ordinal")
    hits = [hit for row in rows if has_own_text(hit := hit_of(row, _NO_SCORES), context.language)]
    if not hits:
        return None
    subject = f"{name} {section.heading}"
    best = extract_blocks(subject, hits, context.generation.embedder, context.language)
    hit, quote = (best[0].hit, best[0].quote) if best else (hits[0], hits[0].text)
    return Topic(section.heading, shorten(quote, QUOTE_CHARACTERS), hit, hits)


def _search_side(context: IntentContext, name: str, others: Sequence[str]) -> Side:
    """Search for a side. Passages without the words that only this side has are about something else."""
    own = content_stems(name, context.language) - content_stems(" ".join(others), context.language)
    found = deduplicate(context.answer_search(name))
    hits = [hit for hit in found if _has_words(hit, own, context.language)]
    if not hits or not context.judge(name, found).answerable:
        return Side(name, ())
    generation = context.generation
    extracts = extract_blocks(name, hits, generation.embedder, context.language, generation.reranker)
    topics = [
        Topic("", shorten(extract.quote, QUOTE_CHARACTERS), extract.hit, hits)
        for extract in extracts[:FOUND_TOPICS]
    ]
    return Side(name, topics)


def _has_words(hit: Hit, words: frozenset[str], language: Language) -> bool:
    given = content_stems(
        f"{hit.title} {hit.source_uri} {' '.join(hit.section)} {hit.text} {hit.dated}", language
    )
    return all(likeness(word, given) > 0 for word in words)


def pair_topics(first: Side, second: Side, embedder: Embedder) -> list[tuple[Topic | None, Topic | None]]:
    """Return the rows of a table. Topics with the same heading are in one row, then those of similar meaning;
    what only one side has is in a row of its own."""
    partners = _match_headings(first.topics, second.topics)
    free = [at for at in range(len(first.topics)) if at not in partners]
    others = [at for at in range(len(second.topics)) if at not in partners.values()]
    partners |= _match_meanings(first.topics, second.topics, free, others, embedder)
    rows: list[tuple[Topic | None, Topic | None]] = [
        (topic, second.topics[partners[at]] if at in partners else None)
        for at, topic in enumerate(first.topics)
    ]
    left = set(range(len(second.topics))) - set(partners.values())
    return [*rows, *((None, second.topics[at]) for at in sorted(left))]


def _match_headings(first: Sequence[Topic], second: Sequence[Topic]) -> dict[int, int]:
    places = {_plain(topic.heading): at for at, topic in reversed(list(enumerate(second))) if topic.heading}
    found: dict[int, int] = {}
    for at, topic in enumerate(first):
        other = places.pop(_plain(topic.heading), None) if topic.heading else None
        if other is not None:
            found[at] = other
    return found


def _plain(heading: str) -> str:
    return " ".join(_NUMBERING.sub("", heading).casefold().split())


def _match_meanings(
    first: Sequence[Topic], second: Sequence[Topic], free: list[int], others: list[int], embedder: Embedder
) -> dict[int, int]:
    """Pair the most similar of the topics that are left, as long as they are similar."""
    if not (free and others):
        return {}
    left = embedder.embed_documents([f"{first[at].heading} {first[at].quote}".strip() for at in free])
    right = embedder.embed_documents([f"{second[at].heading} {second[at].quote}".strip() for at in others])
    similarity, found = np.asarray(left @ right.T, dtype=float), dict[int, int]()
    while similarity.max() >= MIN_SIMILARITY:
        row, column = np.unravel_index(int(similarity.argmax()), similarity.shape)
        found[free[int(row)]] = others[int(column)]
        similarity[row, :] = similarity[:, column] = -1.0
    return found
