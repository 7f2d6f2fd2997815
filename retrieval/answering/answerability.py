"""Can the evidence hold an answer? By rules; a trained reader may take its place through the protocol.

Nearness alone cannot tell: a near miss is as near as an answer. So one passage must speak of what is asked
(most of the question's content words), all names and years of the question must be in that passage, and it
must hold the kind of thing asked for (an amount, a number, a date or time, a phone number or address).
The thresholds were set on the questions marked `tune` in tests/bench/data/handbook_questions.json.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cairn.inference.protocols import Embedder, Vectors
from retrieval.answering.lexicon import Language, language_of
from retrieval.answering.names import names_of, unsupported_names
from retrieval.answering.protocols import Judgement
from retrieval.answering.quantities import has_amount, has_moment, has_quantity
from retrieval.answering.terms import POSSESSIVE, content_words, stem
from retrieval.answering.wording import listed, say
from retrieval.types import Hit

CONSIDERED = 5
FAR = 0.4  # cosine below which a passage is about something else, unless it has nearly all words
NEAR = 0.62  # cosine from which fewer shared words will do
WORDS = 0.6
WORDS_WHEN_NEAR = 0.4
WORDS_WHEN_FAR = 0.85
SAME_MEANING = 0.6  # cosine of two words
OTHER_WORDS = 0.75  # what a word of the same meaning counts
MOST_WORDS = 100  # of a passage that are compared so
STRONG_COSINE = 0.45
STRONG_WORDS = 0.6
STRONG_COSINE_ALONE = 0.6

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

_AMOUNT = re.compile(
    r"\bhow much (?:does|do|did|will|would) .*\b(?:costs?|charge|pay|earn)\b"
    r"|\b(?:price|salary|fee|hotel rate|hourly rate|cost) (?:of|for|in)\b"
    r"|\bwie ?viel kostet\b|\b(?:preis|gehalt|gebühr|kosten) (?:von|für|der|des)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\bhow (?:many|long|old|often|far|big|large)\b|\bwie ?(?:viele|lange|alt|oft|weit|groß)\b", re.IGNORECASE
)
_MOMENT = re.compile(
    r"\bwhat (?:time|date)\b|\bum wie ?viel uhr\b|\ban welchem (?:tag|datum)\b", re.IGNORECASE
)
_CONTACT = re.compile(
    r"\b(?:phone|telephone|fax) numbers?\b|\bwhat (?:number|e-?mail)\b|\btelefonnummer\b|\bmailadresse\b",
    re.IGNORECASE,
)
_HAS_CONTACT = re.compile(r"(?:\d[\s().-]*){7,}|\S@\S")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")


@dataclass(frozen=True, slots=True)
class _Read:
    """One passage read for the question."""

    hit: Hit
    text: str
    cosine: float
    words: float
    lacking: tuple[str, ...]


class RuleAnswerability:
    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def judge(self, question: str, evidence: Sequence[Hit]) -> Judgement:
        speaks = language_of(question)
        if not evidence:
            return Judgement(answerable=False, reason=say("no_hits", speaks))
        read = self._read(question, evidence[:CONSIDERED], speaks)
        return self._judged(question, read, speaks)

    def _judged(self, question: str, read: list[_Read], speaks: Language) -> Judgement:
        named = [item for item in read if not _missing_names(question, item.text, speaks)]
        if not named:
            return Judgement(answerable=False, reason=_names_reason(question, read, speaks))
        near = [item for item in named if _speaks_of(item)]
        candidates = [item for item in named if item.cosine >= FAR]
        near = near or [item for item in self._in_other_words(candidates) if _speaks_of(item)]
        if not near:
            return Judgement(answerable=False, reason=_words_reason(question, read, speaks))
        if lack := _kind_lacking(question, [item.text for item in near]):
            return Judgement(answerable=False, reason=say(lack, speaks))
        strong = any(_stands_alone(item) for item in named)
        return Judgement(answerable=True, strong=strong)

    def _in_other_words(self, read: Sequence[_Read]) -> list[_Read]:
        """The same passages, with credit for words that are near in meaning to a word that is lacking."""
        lacking = list(dict.fromkeys(word.casefold() for item in read for word in item.lacking))
        own = [_vocabulary(item.text) for item in read]
        known = list(dict.fromkeys(word for words in own for word in words))
        if not lacking or not known:
            return list(read)
        nearness = self._embedder.embed_documents(lacking) @ self._embedder.embed_documents(known).T
        rows, columns = ({word: at for at, word in enumerate(words)} for words in (lacking, known))
        return [
            _credited(item, nearness, rows, [columns[word] for word in words])
            for item, words in zip(read, own, strict=True)
        ]

    def _read(self, question: str, hits: Sequence[Hit], speaks: Language) -> list[_Read]:
        texts = [f"{hit.title}\n{' > '.join(hit.section)}\n{hit.text}" for hit in hits]
        return [
            _read_one(question, hit, text, cosine, speaks)
            for hit, text, cosine in zip(hits, texts, self._cosines(question, hits, texts), strict=True)
        ]

    def _cosines(self, question: str, hits: Sequence[Hit], texts: list[str]) -> list[float]:
        """The search's own, where each hit has one."""
        known = [hit.scores.dense for hit in hits if hit.scores.dense is not None]
        if len(known) == len(hits):
            return known
        vectors = self._embedder.embed_documents(texts)
        return [float(value) for value in vectors @ self._embedder.embed_query(question)]


def _read_one(question: str, hit: Hit, text: str, cosine: float, speaks: Language) -> _Read:
    wanted = _subject(question, speaks)
    language = language_of(text)
    if language != speaks:  # words cannot be compared across languages
        return _Read(hit, text, cosine, words=WORDS if cosine >= NEAR else 0.0, lacking=())
    known = frozenset(stem(word, language) for word in content_words(text, language))
    lacking = tuple(word for word in wanted if stem(word, language) not in known)
    words = 1 - len(lacking) / len(wanted) if wanted else 1.0
    return _Read(hit, text, cosine, words, lacking)


def _vocabulary(text: str) -> list[str]:
    words = content_words(text.casefold(), language_of(text))
    return list(dict.fromkeys(word for word in words if len(word) > 2 and word.isalpha()))[:MOST_WORDS]


def _credited(item: _Read, nearness: Vectors, rows: dict[str, int], columns: list[int]) -> _Read:
    if not item.lacking or not columns:
        return item
    alike = [word for word in item.lacking if nearness[rows[word.casefold()], columns].max() >= SAME_MEANING]
    lost = (1 - item.words) / len(item.lacking)  # what one word weighs
    return replace(
        item,
        words=item.words + OTHER_WORDS * lost * len(alike),
        lacking=tuple(word for word in item.lacking if word not in alike),
    )


def _subject(question: str, language: Language) -> list[str]:
    words = {stem(word, language): word for word in content_words(question, language)}
    return [word for word in words.values() if word.casefold() not in _ASKING[language]]


def _speaks_of(item: _Read) -> bool:
    if item.cosine < FAR:
        return item.words >= WORDS_WHEN_FAR
    return item.words >= (WORDS_WHEN_NEAR if item.cosine >= NEAR else WORDS)


def _stands_alone(item: _Read) -> bool:
    near = item.cosine >= STRONG_COSINE and item.words >= STRONG_WORDS
    return near or item.cosine >= STRONG_COSINE_ALONE


def _missing_names(question: str, text: str, language: Language) -> tuple[str, ...]:
    years = tuple(year for year in _YEAR.findall(question) if year not in text)
    return (*unsupported_names(question, text, language), *years)


def _names_reason(question: str, read: Sequence[_Read], speaks: Language) -> str:
    """Names and words that no passage has; or else, that no passage has all the names."""
    nowhere = _missing_names(question, "\n".join(item.text for item in read), speaks)
    if nowhere:
        terms = list(dict.fromkeys([*_nowhere(question, read, speaks), *nowhere]))
        return say("missing", speaks, terms=listed(terms, speaks))
    return say("apart", speaks, terms=listed(names_of(question, speaks), speaks))


def _words_reason(question: str, read: Sequence[_Read], speaks: Language) -> str:
    if nowhere := _nowhere(question, read, speaks):
        return say("missing", speaks, terms=listed(nowhere, speaks))
    if any(item.lacking for item in read):
        return say("apart", speaks, terms=listed(_subject(question, speaks), speaks))
    return say("far", speaks)


def _nowhere(question: str, read: Sequence[_Read], speaks: Language) -> list[str]:
    """Words of the question that no passage has, in its order."""
    lacking = set.intersection(*(set(item.lacking) for item in read))
    return [POSSESSIVE.sub("", word) for word in _subject(question, speaks) if word in lacking]


def _kind_lacking(question: str, texts: Sequence[str]) -> str:
    """Which kind of thing is asked for that no passage holds; empty if there is none."""
    kinds: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
        ("amount", _AMOUNT, has_amount),
        ("contact", _CONTACT, lambda text: _HAS_CONTACT.search(text) is not None),
        ("moment", _MOMENT, has_moment),
        ("number", _NUMBER, has_quantity),
    )
    for kind, asked, holds in kinds:
        if asked.search(question) and not any(holds(text) for text in texts):
            return kind
    return ""
