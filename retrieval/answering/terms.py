"""Content words of a text, reduced to their stems."""

import re
import threading
from collections.abc import Collection
from functools import lru_cache

from rapidfuzz import fuzz, process
from Stemmer import Stemmer

from retrieval.answering.lexicon import STOPWORDS, Language

SPELLING = 80.0  # likeness of two stems, of 100, from which one is taken for the other misspelt
MISSPELT = 0.8  # what a word counts that is there in another spelling
SHORTEST_MISSPELT = 4

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
POSSESSIVE = re.compile(r"['’]s?$")


class _Stemmers(threading.local):
    """Snowball's. One of them must not be used by two threads at once."""

    def __init__(self) -> None:
        self.of: dict[Language, Stemmer] = {"en": Stemmer("english", 0), "de": Stemmer("german", 0)}


_stemmers = _Stemmers()


@lru_cache(maxsize=50_000)
def stem(word: str, language: Language) -> str:
    folded = POSSESSIVE.sub("", word.casefold())
    return str(_stemmers.of[language].stemWord(folded)) if len(folded) < 40 else folded


@lru_cache(maxsize=50_000)
def is_content(word: str, language: Language) -> bool:
    folded = POSSESSIVE.sub("", word.casefold())
    long_enough = len(folded) > 1 or folded.isdigit() or bool(_CJK.match(folded))
    return long_enough and folded not in STOPWORDS[language]


def content_words(text: str, language: Language) -> list[str]:
    """In order, as written. Scripts without spaces are cut into pairs of characters."""
    words: list[str] = []
    for word in WORD.findall(text):
        if _CJK.search(word):
            words += [word[at : at + 2] for at in range(max(1, len(word) - 1))]
        elif is_content(word, language):
            words.append(word)
    return words


def content_stems(text: str, language: Language) -> frozenset[str]:
    return frozenset(stem(word, language) for word in content_words(text, language))


def covered(wanted: frozenset[str], given: frozenset[str]) -> float:
    """Share of the wanted stems that are given; 0 when nothing is wanted."""
    return len(wanted & given) / len(wanted) if wanted else 0.0


def likeness(wanted: str, given: Collection[str]) -> float:
    """1 if a stem is among those given, less if a similar one is, since people misspell.

    With a digit in it, nothing is similar.
    """
    if wanted in given:
        return 1.0
    if len(wanted) < SHORTEST_MISSPELT or any(letter.isdigit() for letter in wanted):
        return 0.0
    return MISSPELT if process.extractOne(wanted, given, scorer=fuzz.ratio, score_cutoff=SPELLING) else 0.0
