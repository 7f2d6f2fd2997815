"""Decides whether a sentence adds anything to its question: repeating words states nothing.

"The answers to the questions are in the answers to the questions." has only words of a passage, so that the
passage seems to support it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from retrieval.answering.text.lexicon import Language
from retrieval.answering.text.number_words import write_digits
from retrieval.answering.text.terms import WORD, is_content, stem

_MAX_LEADING_WORDS: Final = 4  # before an interrogative, as in "up to what"
_ALTERNATIVES: Final = frozenset({"or", "oder"})
_WHO: Final = frozenset({"who", "whom", "wer", "wen", "wem"})
_WHOSE: Final = frozenset({"whose", "wessen"})
_IN_THE_SOURCE: Final = re.compile(
    r"\b(?:in|from|by|aus|von)\s+(?:(?:the|these|this|your|den|dem|der|diesen)\s+)?"
    r"(?:(?:given|provided|above|obigen)\s+)?"
    r"(?:passages?|texts?|context|documents?|sources?|textstellen?|dokumenten?|quellen?)\b",
    re.IGNORECASE,
)


def _by_language(*, en: str, de: str) -> dict[Language, frozenset[str]]:
    return {"en": frozenset(en.split()), "de": frozenset(de.split())}


_INTERROGATIVES: Final = _by_language(
    en="who whom whose what which when where why how",
    de="""wer wen wem wessen was welche welcher welches welchen welchem wann wo woher wohin warum wieso
    weshalb wie wieviel womit wofür worin woran worauf wodurch wozu wovon""",
)
_BEFORE_YES_OR_NO: Final = _by_language(
    en="""am is are was were do does did can could may might must shall should will would has have had if
    whether""",
    de="""bin bist ist sind war waren kann kannst können könnte darf dürfen muss müssen soll sollen sollte
    wird werden hat haben habe gibt gilt ob""",
)
"""Words that ask for yes or no if they come before an interrogative."""
_PRONOUNS: Final = _by_language(
    en="i me you we us they them he him she", de="ich mich mir du dich dir sie ihnen wir uns er ihn ihm"
)
_POSSESSIVES: Final = _by_language(
    en="my mine your yours our ours their theirs his her hers",
    de="mein meine meinen dein deine deinen ihr ihre ihren unser unsere unseren sein seine seinen",
)
_EMPTY: Final = _by_language(
    en="""a an the this that these those it its there here is are was were be been being am do does did done
    has have had can could may might must shall should will would need to of in on at by for from with as
    and or but if so then also just too very such who whom whose what which when where why how some any
    other own same about into get gets getting got""",
    de="""der die das den dem des dies diese dieser dieses diesen diesem ein eine einen einem einer eines es
    da dort hier ist sind war waren bin bist sein wird werden wurde wurden hat haben habe hatte kann können
    könnte darf dürfen muss müssen soll sollen sollte von vom zu zum zur in im an am auf bei beim für mit
    aus als und oder aber wenn so dann auch noch doch man wer wen wem wessen was welche welcher welches
    welchen welchem wann wo woher wohin warum wie etwas andere anderen dass""",
)
"""Function words that state nothing by themselves, unlike "yes", "only", "before" or "never"."""


def adds_something(sentence: str, question: str, language: Language) -> bool:
    """Return whether a sentence says more than its question, and more than the same thing over and over.

    A question for yes or no, or one that names the choices, may be answered in its own words.
    """
    words = _words(sentence, language)
    asked = [word.casefold() for word in _words(question, language)]
    known = _stems(asked, language)
    if not set(words) - _EMPTY[language] or _repeats_itself(sentence, known, language):
        return False
    if not _is_open(asked, language):
        return True
    return any(
        word not in _find_empty_words(asked, language) and stem(word, language) not in known for word in words
    )


def _words(text: str, language: Language) -> list[str]:
    """Return the words in lower case, except English names: "in May", "the US", "IT"."""
    words: list[str] = WORD.findall(write_digits(text))
    return [
        word if language == "en" and _is_name(word, is_first=at == 0 < len(words) - 1) else word.casefold()
        for at, word in enumerate(words)
    ]


def _is_name(word: str, *, is_first: bool) -> bool:
    """Return whether capitals tell it from a function word. The first of several words always has one."""
    return len(word) > 1 and (word.isupper() or (word.istitle() and not is_first))


def _stems(words: Sequence[str], language: Language) -> frozenset[str]:
    return frozenset(stem(word, language) for word in words)


def _is_open(asked: Sequence[str], language: Language) -> bool:
    """Return whether it is asked who, what, when and so on, and no choices are named."""
    for word in asked[:_MAX_LEADING_WORDS]:
        if word in _BEFORE_YES_OR_NO[language]:
            return False
        if word in _INTERROGATIVES[language]:
            return _ALTERNATIVES.isdisjoint(asked)
    return False


def _find_empty_words(asked: Sequence[str], language: Language) -> frozenset[str]:
    """Return the words that can't answer anything. Pronouns can if the question asks who or whose."""
    if not _WHOSE.isdisjoint(asked):
        return _EMPTY[language]
    empty = _EMPTY[language] | _POSSESSIVES[language]
    return empty if not _WHO.isdisjoint(asked) else empty | _PRONOUNS[language]


def _repeats_itself(sentence: str, known: frozenset[str], language: Language) -> bool:
    """Return whether its content words are the same ones in the same order, over and over. Words that only
    name the question's subject or the source do not count."""
    words = _words(_IN_THE_SOURCE.sub(" ", sentence), language)
    stems = [stem(word, language) for word in words if _has_content(word, language)]
    counts = Counter(stems)
    remaining = [word for word in stems if counts[word] > 1 or word not in known]
    periods = range(1, len(remaining) // 2 + 1)
    return any(
        len(remaining) % period == 0 and remaining == remaining[:period] * (len(remaining) // period)
        for period in periods
    )


def _has_content(word: str, language: Language) -> bool:
    return is_content(word, language) and word not in _EMPTY[language]
