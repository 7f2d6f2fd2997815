"""Signals of a question and its evidence that predict whether the evidence can answer it."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from cairn.inference.protocols import Embedder, Vectors
from retrieval.answering.grounding.names import unsupported_names
from retrieval.answering.text.answer_types import AnswerType, counted_noun_pattern, expected_answer_type
from retrieval.answering.text.blocks import split_blocks
from retrieval.answering.text.lexicon import Language, language_of
from retrieval.answering.text.terms import POSSESSIVE, content_words, likeness, stem
from retrieval.types import Hit

MAX_COMPARED_HITS = 5  # hits whose words are compared in meaning
MAX_COMPARED_WORDS = 150  # of a passage that are compared in meaning
MAX_BLOCK_CHARACTERS = 1500  # characters of a block that are embedded
MIN_CREDIT_COSINE, FULL_CREDIT_COSINE = (
    0.3,
    0.8,
)  # cosines of two words, between which the credit for other words grows
MAX_LOG_ODDS = 12.0  # beyond this, a reranker being sure means nothing
MIN_LIKELY_SCORE = 0.5  # of the reranker, for a passage that is more likely to answer than not
MISSING_TYPE_PENALTY = 0.2  # how far below the nearest block a thing counts that no block contains

_ASKING_EN = """long many often far soon early late big good best happen happens look see tell know find want
make made take takes come comes go goes say says let thing things kind sort way ways work works somebody
someone anybody anyone people possible right allowed ask three two four five new exactly"""
_ASKING_DE = """lange viel viele oft weit früh spät groß gut passiert sagen wissen finden möchte will mache
machen geht gehen kommt lassen art weise jemand leute möglich richtig erlaubt fragen genau neu"""
_ASKING: dict[Language, frozenset[str]] = {
    "en": frozenset(_ASKING_EN.split()),
    "de": frozenset(_ASKING_DE.split()),
}
"""Words that shape a question without being its subject."""

_SENTENCE = re.compile(r"(?<=[.?!])\s+")
_CONTRACTED = re.compile(r"\bI['’](?:d|ve|m|ll)\b")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")


@dataclass(frozen=True, slots=True)
class Signals:
    """Cosines and shares; `uncounted` and `unnamed` are 0 or 1. The names are stored in calibrations.

    near: cosine of the nearest hit.
    words: share of the question's content words in the passage that has most; misspelt ones count less.
    meaning: the same with credit for words of similar meaning.
    held: cosine of the nearest block that has the expected answer type.
    gap: how much nearer a block without that type is.
    uncounted: no block has a number of what the question counts.
    unnamed: a name or year of the question is in no passage, or only in one without anything else asked for.
    relevance: the reranker's score of the best hit, as log odds if it is a probability; None without one.
    """

    near: float
    words: float
    meaning: float
    held: float
    gap: float
    uncounted: float
    unnamed: float
    relevance: float | None = None

    def as_dict(self) -> dict[str, float]:
        """Return the known signals."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Assessment:
    """The signals, and material for a reason: names that no passage has, and the expected answer type."""

    signals: Signals
    unnamed: tuple[str, ...]
    answer_type: str


def assess_evidence(question: str, hits: Sequence[Hit], embedder: Embedder) -> Assessment:
    """Assess the evidence: at least one hit, best first."""
    language = language_of(question)
    texts = [passage_text(hit) for hit in hits]
    words = subject_words(question, language)
    comparable = language_of("\n".join(texts)) == language
    counts = [_word_likeness(words, text, language) for text in texts]
    asked = embedder.embed_query(question)
    together = counts if comparable else None
    unnamed = _find_missing_names(question, words, texts, together, language)
    answer_type = expected_answer_type(question)
    type_cosine, gap = _typed_block_cosines(answer_type, hits, asked, embedder)
    return Assessment(
        signals=Signals(
            near=_nearest_cosine(hits, texts, asked, embedder),
            words=max((_mean(row) for row in counts), default=0.0) if comparable else 0.0,
            meaning=_shared_meaning(words, texts, counts, embedder) if comparable else 0.0,
            held=type_cosine,
            gap=gap,
            uncounted=float(_is_uncounted(question, hits)),
            unnamed=float(bool(unnamed)),
            relevance=_best_relevance(hits),
        ),
        unnamed=unnamed,
        answer_type=answer_type.name if answer_type else "",
    )


def passage_text(hit: Hit) -> str:
    return f"{hit.title}\n{' > '.join(hit.section)}\n{hit.text}"


def subject_words(question: str, language: Language) -> list[str]:
    """Return the question's content words as written, without those that only shape it."""
    words = {stem(word, language): word for word in content_words(question, language)}
    subjects = [word for word in words.values() if word.casefold() not in _ASKING[language]]
    return [POSSESSIVE.sub("", word) for word in subjects]


def _find_missing_names(
    question: str,
    words: Sequence[str],
    texts: Sequence[str],
    counts: Sequence[Sequence[float]] | None,
    language: Language,
) -> tuple[str, ...]:
    """Return names that no passage covers. A weekday occurs in many passages, which proves nothing: a name
    counts in the best hit, together with other words of the question, or where words cannot be compared
    because of the language (`counts` is None)."""
    lacking = [missing_names(question, text, language) for text in texts]

    def is_named(name: str, at: int) -> bool:
        if name in lacking[at]:
            return False
        return at == 0 or counts is None or _in_company(name, words, counts[at], language)

    names = dict.fromkeys(name for each in lacking for name in each)  # a name in all distinguishes none
    return tuple(name for name in names if not any(is_named(name, at) for at in range(len(texts))))


def _in_company(name: str, words: Sequence[str], counts: Sequence[float], language: Language) -> bool:
    """Return whether another word of the question is there, if there is another."""
    own = {stem(word, language) for word in content_words(name, language)}
    others = [count for word, count in zip(words, counts, strict=True) if stem(word, language) not in own]
    return not others or max(others) > 0


def missing_names(question: str, text: str, language: Language) -> tuple[str, ...]:
    """Return missing names and years of the sentences that ask; what others say about the person need not be
    in a document."""
    asking = _CONTRACTED.sub("I", _asking(question)).replace("#", "")
    plain = text.replace("#", "")
    years = tuple(year for year in _YEAR.findall(asking) if year not in plain)
    return (*unsupported_names(asking, plain, language), *years)


def _asking(question: str) -> str:
    sentences = _SENTENCE.split(question)
    return " ".join(sentence for sentence in sentences if sentence.rstrip().endswith("?")) or question


def _nearest_cosine(hits: Sequence[Hit], texts: Sequence[str], asked: Vectors, embedder: Embedder) -> float:
    """Return the best cosine: the search's own, if each hit has one."""
    known = [hit.scores.dense for hit in hits if hit.scores.dense is not None]
    if len(known) < len(hits):
        known = [float(value) for value in embedder.embed_documents(texts) @ asked]
    return max(known)


def _best_relevance(hits: Sequence[Hit]) -> float | None:
    """Return the best score. It is unknown if no passage is likely to answer and the reranker did not read
    all of them: those in another language may answer."""
    rated = [hit.scores.rerank for hit in hits if hit.scores.rerank is not None]
    if not rated or (len(rated) < len(hits) and max(rated) < MIN_LIKELY_SCORE):
        return None
    best = max(rated)
    return log_odds(best) if 0 <= best <= 1 else best


def log_odds(probability: float) -> float:
    least = math.exp(-MAX_LOG_ODDS)
    share = min(1 - least, max(least, probability))
    return math.log(share / (1 - share))


def _word_likeness(words: Sequence[str], text: str, language: Language) -> list[float]:
    known = sorted({stem(word, language) for word in content_words(text, language)})
    return [likeness(stem(word, language), known) for word in words]


def _shared_meaning(
    words: Sequence[str], texts: Sequence[str], counts: Sequence[Sequence[float]], embedder: Embedder
) -> float:
    vocabularies = [_vocabulary(text) for text in texts[:MAX_COMPARED_HITS]]
    known = list(dict.fromkeys(word for passage_words in vocabularies for word in passage_words))
    if not words or not known:
        return 0.0
    folded = [word.casefold() for word in words]
    vectors = embedder.embed_documents([*folded, *known])
    alike = vectors[: len(folded)] @ vectors[len(folded) :].T
    column = {word: at for at, word in enumerate(known)}
    shares = [
        _mean(
            np.maximum(row, _credit(alike[:, [column[word] for word in passage_words]].max(axis=1))).tolist()
        )
        for passage_words, row in zip(vocabularies, counts[:MAX_COMPARED_HITS], strict=True)
        if passage_words
    ]
    return max(shares, default=0.0)


def _credit(cosines: Vectors) -> Vectors:
    credit: Vectors = np.clip(
        (cosines - MIN_CREDIT_COSINE) / (FULL_CREDIT_COSINE - MIN_CREDIT_COSINE), 0.0, 1.0
    )
    return credit


def _vocabulary(text: str) -> list[str]:
    words = content_words(text.casefold(), language_of(text))
    return list(dict.fromkeys(words))[:MAX_COMPARED_WORDS]


def _typed_block_cosines(
    answer_type: AnswerType | None, hits: Sequence[Hit], asked: Vectors, embedder: Embedder
) -> tuple[float, float]:
    blocks = list(_blocks(hits)) or [(hits[0], hits[0].text)]
    cosines = embedder.embed_documents([block_text(hit, text) for hit, text in blocks]) @ asked
    nearest = float(cosines.max())
    if answer_type is None:
        return nearest, 0.0
    holding = [at for at, (_, text) in enumerate(blocks) if answer_type.matches(text)]
    typed = float(cosines[holding].max()) if holding else max(0.0, nearest - MISSING_TYPE_PENALTY)
    return typed, nearest - typed


def _blocks(hits: Sequence[Hit]) -> Iterator[tuple[Hit, str]]:
    for hit in hits:
        for block in split_blocks(hit.text, hit.code):
            yield hit, hit.text[block.start : block.end][:MAX_BLOCK_CHARACTERS]


def block_text(hit: Hit, text: str) -> str:
    """Return the text to embed for a block: with its headings, without which many are meaningless."""
    return f"{hit.heading}\n{text}"


def _is_uncounted(question: str, hits: Sequence[Hit]) -> bool:
    pattern = counted_noun_pattern(question)
    return pattern is not None and not any(pattern.search(hit.text) for hit in hits)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else 0.0
