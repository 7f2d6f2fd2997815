"""Chooses the sentences that are nearest to the middle of a section, by embeddings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import numpy as np

from cairn.inference.protocols import Embedder, Vectors
from retrieval.answering.text.lexicon import Language
from retrieval.answering.text.sentences import Kind, split_sentences
from retrieval.answering.text.terms import content_words
from retrieval.intents.sections import Section
from retrieval.types import Hit

MIN_WORDS: Final = 4
MAX_CHARACTERS: Final = 400
MAX_SENTENCES_PER_PASSAGE: Final = 12


@dataclass(frozen=True, slots=True)
class QuotedSentence:
    """`text` is verbatim in the passage."""

    hit: Hit
    text: str


def rank_passages(section: Section, vectors: Mapping[UUID, Vectors]) -> list[UUID]:
    """Return the section's passages, the most central first; in order if the index has no vectors."""
    known = [passage.id for passage in section.passages if passage.id in vectors]
    if not known:
        return [passage.id for passage in section.passages]
    matrix = np.stack([vectors[passage] for passage in known])
    scores = matrix @ matrix.mean(axis=0)
    return [known[at] for at in np.argsort(-scores, kind="stable")]


def choose_sentences(
    hits: Sequence[Hit], embedder: Embedder, language: Language, most: int
) -> list[QuotedSentence]:
    """Return the most central sentences of these passages, in the order of the document; none if they have no
    whole sentence."""
    candidates = [sentence for hit in hits for sentence in _sentences_in(hit, language)]
    if not candidates:
        return []
    matrix = embedder.embed_documents([sentence.text for sentence in candidates])
    scores = matrix @ matrix.mean(axis=0)
    chosen = sorted(np.argsort(-scores, kind="stable")[:most], key=lambda at: candidates[at].hit.ordinal)
    return [candidates[at] for at in chosen]


def _sentences_in(hit: Hit, language: Language) -> list[QuotedSentence]:
    found = [
        QuotedSentence(hit, unit.body)
        for unit in split_sentences(hit.text)
        if unit.kind is Kind.SENTENCE
        and len(unit.body) <= MAX_CHARACTERS
        and not unit.body.endswith((":", "?"))
        and len(content_words(unit.body, language)) >= MIN_WORDS
        and unit.body in hit.text
    ]
    return found[:MAX_SENTENCES_PER_PASSAGE]
