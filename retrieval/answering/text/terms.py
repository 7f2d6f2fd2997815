"""Content words of a text, reduced to their stems."""

import re
import threading
from collections.abc import Collection
from functools import lru_cache

from rapidfuzz import fuzz, process
from Stemmer import Stemmer

from retrieval.answering.text.lexicon import STOPWORDS, Language

MIN_SPELLING_RATIO = 80.0  # likeness of two stems, of 100, from which one is taken for the other misspelt
MISSPELT_CREDIT = 0.8  # weight of a word that occurs in another spelling
MIN_MISSPELT_LETTERS = 4

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
POSSESSIVE = re.compile(r"['’]s?$")


class _Stemmers(threading.local):
    """Snowball stemmers, one per thread: they are not thread-safe."""

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
    long_enough = len(folded) > 1 or folded.isdigit() or bool(CJK.match(folded))
    return long_enough and folded not in STOPWORDS[language]


def content_words(text: str, language: Language) -> list[str]:
    """Return content words in order, as written. Scripts without spaces are cut into pairs of characters."""
    words: list[str] = []
    for word in WORD.findall(text):
        if CJK.search(word):
            words += [word[at : at + 2] for at in range(max(1, len(word) - 1))]
        elif is_content(word, language):
            words.append(word)
    return words


def content_stems(text: str, language: Language) -> frozenset[str]:
    return frozenset(stem(word, language) for word in content_words(text, language))


def coverage(required: frozenset[str], given: frozenset[str]) -> float:
    """Return the share of the required stems that are given; 0 when none is required."""
    return len(required & given) / len(required) if required else 0.0


def likeness(word: str, given: Collection[str]) -> float:
    """Return 1 if a stem is among those given, less for a misspelling of one. Words with digits must match
    exactly."""
    if word in given:
        return 1.0
    if len(word) < MIN_MISSPELT_LETTERS or any(letter.isdigit() for letter in word):
        return 0.0
    return (
        MISSPELT_CREDIT
        if process.extractOne(word, given, scorer=fuzz.ratio, score_cutoff=MIN_SPELLING_RATIO)
        else 0.0
    )
