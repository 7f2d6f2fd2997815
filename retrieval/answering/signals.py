"""What can be seen of a question and its evidence that tells whether the evidence can answer it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from cairn.inference.protocols import Embedder, Vectors
from retrieval.answering.blocks import blocks
from retrieval.answering.kinds import AnswerKind, counted, kind_asked
from retrieval.answering.lexicon import Language, language_of
from retrieval.answering.names import unsupported_names
from retrieval.answering.terms import POSSESSIVE, content_words, likeness, stem
from retrieval.types import Hit

NEAREST = 5  # hits whose words are compared in meaning
MOST_WORDS = 150  # of a passage that are compared in meaning
LONGEST_BLOCK = 1500  # characters of a block that are embedded
UNRELATED, SAME = 0.3, 0.8  # cosines of two words, between which the credit for other words grows
NOT_HELD = 0.2  # how far below the nearest block a thing counts that no block holds

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
    """Cosines and shares, but for the last two, which are 0 or 1.

    near: cosine of the nearest hit.
    words: share of the question's content words in the passage that has most, misspelt ones counted less.
    meaning: the same with credit for words of like meaning.
    held: cosine of the nearest block that holds the kind of thing asked for.
    gap: how much nearer a block is that does not hold it.
    uncounted: no block has a number of what the question counts.
    unnamed: a name or year of the question is in no passage, or only in one without all else that is asked.
    """

    near: float
    words: float
    meaning: float
    held: float
    gap: float
    uncounted: float
    unnamed: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Reading:
    """The signals, and what a reason can be made of: words that a passage has or that none has, names that
    none has, the kind of thing asked for."""

    signals: Signals
    found: tuple[str, ...]
    nowhere: tuple[str, ...]
    unnamed: tuple[str, ...]
    kind: str


def read(question: str, hits: Sequence[Hit], embedder: Embedder) -> Reading:
    """`hits`: at least one, best first."""
    speaks = language_of(question)
    texts = [passage_text(hit) for hit in hits]
    wanted = subject(question, speaks)
    comparable = language_of("\n".join(texts)) == speaks
    counts = [_counts(wanted, text, speaks) for text in texts]
    asked = embedder.embed_query(question)
    together = counts if comparable else None
    unnamed = _unnamed(question, wanted, texts, together, speaks)
    kind = kind_asked(question)
    held, gap = _held(kind, hits, asked, embedder)
    there = [max((row[at] for row in counts), default=0.0) for at in range(len(wanted))]
    return Reading(
        signals=Signals(
            near=_near(hits, texts, asked, embedder),
            words=max((_mean(row) for row in counts), default=0.0) if comparable else 0.0,
            meaning=_meaning(wanted, texts, counts, embedder) if comparable else 0.0,
            held=held,
            gap=gap,
            uncounted=float(_is_uncounted(question, hits)),
            unnamed=float(bool(unnamed)),
        ),
        found=tuple(word for word, count in zip(wanted, there, strict=True) if count),
        nowhere=tuple(word for word, count in zip(wanted, there, strict=True) if not count),
        unnamed=unnamed,
        kind=kind.name if kind else "",
    )


def passage_text(hit: Hit) -> str:
    return f"{hit.title}\n{' > '.join(hit.section)}\n{hit.text}"


def subject(question: str, language: Language) -> list[str]:
    """The question's content words as written, without those that only shape it."""
    words = {stem(word, language): word for word in content_words(question, language)}
    kept = [word for word in words.values() if word.casefold() not in _ASKING[language]]
    return [POSSESSIVE.sub("", word) for word in kept]


def _unnamed(
    question: str,
    wanted: Sequence[str],
    texts: Sequence[str],
    counts: Sequence[Sequence[float]] | None,
    language: Language,
) -> tuple[str, ...]:
    """A weekday, say, stands in some passage or other: that does not tell what happens on it. In the best hit
    it counts by itself, and where words cannot be compared (`counts` is None): in another language."""
    lacking = [missing_names(question, text, language) for text in texts]

    def told(name: str, at: int) -> bool:
        if name in lacking[at]:
            return False
        return at == 0 or counts is None or _in_company(name, wanted, counts[at], language)

    names = dict.fromkeys(name for each in lacking for name in each)  # one that all hold tells nothing apart
    return tuple(name for name in names if not any(told(name, at) for at in range(len(texts))))


def _in_company(name: str, wanted: Sequence[str], counts: Sequence[float], language: Language) -> bool:
    """Whether another word of what is asked is there, if there is another."""
    own = {stem(word, language) for word in content_words(name, language)}
    others = [count for word, count in zip(wanted, counts, strict=True) if stem(word, language) not in own]
    return not others or max(others) > 0


def missing_names(question: str, text: str, language: Language) -> tuple[str, ...]:
    """Names and years of the sentences that ask; what others tell of the asker need not be in a document."""
    asking = _CONTRACTED.sub("I", _asking(question)).replace("#", "")
    plain = text.replace("#", "")
    years = tuple(year for year in _YEAR.findall(asking) if year not in plain)
    return (*unsupported_names(asking, plain, language), *years)


def _asking(question: str) -> str:
    sentences = _SENTENCE.split(question)
    return " ".join(sentence for sentence in sentences if sentence.rstrip().endswith("?")) or question


def _near(hits: Sequence[Hit], texts: Sequence[str], asked: Vectors, embedder: Embedder) -> float:
    """By the search's own cosines, where each hit has one."""
    known = [hit.scores.dense for hit in hits if hit.scores.dense is not None]
    if len(known) < len(hits):
        known = [float(value) for value in embedder.embed_documents(texts) @ asked]
    return max(known)


def _counts(wanted: Sequence[str], text: str, language: Language) -> list[float]:
    known = sorted({stem(word, language) for word in content_words(text, language)})
    return [likeness(stem(word, language), known) for word in wanted]


def _meaning(
    wanted: Sequence[str], texts: Sequence[str], counts: Sequence[Sequence[float]], embedder: Embedder
) -> float:
    vocabularies = [_vocabulary(text) for text in texts[:NEAREST]]
    known = list(dict.fromkeys(word for words in vocabularies for word in words))
    if not wanted or not known:
        return 0.0
    folded = [word.casefold() for word in wanted]
    vectors = embedder.embed_documents([*folded, *known])
    alike = vectors[: len(folded)] @ vectors[len(folded) :].T
    column = {word: at for at, word in enumerate(known)}
    shares = [
        _mean(np.maximum(row, _credit(alike[:, [column[word] for word in words]].max(axis=1))).tolist())
        for words, row in zip(vocabularies, counts[:NEAREST], strict=True)
        if words
    ]
    return max(shares, default=0.0)


def _credit(cosines: Vectors) -> Vectors:
    credit: Vectors = np.clip((cosines - UNRELATED) / (SAME - UNRELATED), 0.0, 1.0)
    return credit


def _vocabulary(text: str) -> list[str]:
    words = content_words(text.casefold(), language_of(text))
    return list(dict.fromkeys(words))[:MOST_WORDS]


def _held(
    kind: AnswerKind | None, hits: Sequence[Hit], asked: Vectors, embedder: Embedder
) -> tuple[float, float]:
    found = list(_blocks(hits)) or [(hits[0], hits[0].text)]
    cosines = embedder.embed_documents([block_text(hit, text) for hit, text in found]) @ asked
    nearest = float(cosines.max())
    if kind is None:
        return nearest, 0.0
    holding = [at for at, (_, text) in enumerate(found) if kind.holds(text)]
    held = float(cosines[holding].max()) if holding else max(0.0, nearest - NOT_HELD)
    return held, nearest - held


def _blocks(hits: Sequence[Hit]) -> Iterator[tuple[Hit, str]]:
    for hit in hits:
        for block in blocks(hit.text):
            yield hit, hit.text[block.start : block.end][:LONGEST_BLOCK]


def block_text(hit: Hit, text: str) -> str:
    """What is embedded of a block: with its headings, without which many say little."""
    return f"{' > '.join((hit.title, *hit.section))}\n{text}"


def _is_uncounted(question: str, hits: Sequence[Hit]) -> bool:
    pattern = counted(question)
    return pattern is not None and not any(pattern.search(hit.text) for hit in hits)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else 0.0
