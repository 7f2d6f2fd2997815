"""Content words of a text, reduced to their stems."""

import re
from functools import lru_cache

from nltk.stem.snowball import SnowballStemmer

from retrieval.answering.lexicon import STOPWORDS, Language

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
POSSESSIVE = re.compile(r"['’]s?$")
_STEMMERS: dict[Language, SnowballStemmer] = {
    "en": SnowballStemmer("english"),
    "de": SnowballStemmer("german"),
}


@lru_cache(maxsize=50_000)
def stem(word: str, language: Language) -> str:
    folded = POSSESSIVE.sub("", word.casefold())
    return str(_STEMMERS[language].stem(folded)) if len(folded) < 40 else folded


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
