"""Recognises small talk, such as "hi" and "what can you do?", which no document answers.

Only a message that consists of nothing else counts: "hi, how much leave do I get?" is a question.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

from retrieval.answering.text.refusals import REPLY_LANGUAGES, ReplyLanguage


class TalkKind(StrEnum):
    """Topic of the message. If there are several, the last of these counts."""

    GREETING = "greeting"
    THANKS = "thanks"
    FAREWELL = "farewell"
    WELLBEING = "wellbeing"
    IDENTITY = "identity"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class SmallTalk:
    kind: TalkKind
    language: ReplyLanguage


MAX_CHARACTERS: Final = 120
MAX_WORDS: Final = 14
WORDS: Final = json.loads(Path(__file__).with_name("small_talk.json").read_text(encoding="utf-8"))
_FILLERS: Final = frozenset(WORDS["fillers"])
"""Words that may come between the phrases, and say nothing of their own."""


def recognise_small_talk(message: str, prefers: str | None = None) -> SmallTalk | None:
    """Return the topic of the message, None for anything but small talk.

    `prefers`: the language to reply in if the message could be in several, such as "hi".
    """
    words = _split_words(message) if len(message) <= MAX_CHARACTERS else []
    if not words or len(words) > MAX_WORDS:
        return None
    phrases = _find_phrases(tuple(words))
    if not phrases:
        return None
    order = list(TalkKind)
    kinds = [kind for phrase in phrases for kind in _meanings()[phrase]]
    kind = max(kinds, key=order.index) if len(phrases) > 1 else min(kinds, key=order.index)
    return SmallTalk(kind, _choose_language(phrases, kind, prefers))


def _choose_language(phrases: Sequence[str], kind: TalkKind, prefers: str | None) -> ReplyLanguage:
    """Return the language that most of the phrases are in. Of several, the preferred one counts."""
    spoken = [
        language
        for phrase in phrases
        for language in REPLY_LANGUAGES
        if any(language in languages for languages in _meanings()[phrase].values())
    ]
    likely = [each for each in REPLY_LANGUAGES if spoken.count(each) == max(map(spoken.count, spoken))]
    meant = [each for each in likely if any(each in _meanings()[phrase].get(kind, ()) for phrase in phrases)]
    choices = meant or likely
    return next((each for each in choices if each == prefers), choices[0])


def _split_words(text: str) -> list[str]:
    """Split without case, accents, punctuation and symbols: people leave them out."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("'", "").replace("’", ""))
    return re.findall(r"[^\W_]+", "".join(each for each in plain if not unicodedata.combining(each)))


def _find_phrases(words: tuple[str, ...]) -> list[str]:
    """Return the phrases that the words consist of, apart from fillers; [] if there is anything else."""
    if words and words[0] in _FILLERS and not any(_phrases_at(words, 0)):
        return []
    found, at = list[str](), 0
    while at < len(words):
        phrase = next(_phrases_at(words, at), None)
        if phrase is not None:
            found.append(phrase)
            at += phrase.count(" ") + 1
        elif words[at] in _FILLERS:
            at += 1
        else:
            return []
    return found


def _phrases_at(words: Sequence[str], at: int) -> Iterator[str]:
    """Yield the phrases that begin here, the longest first."""
    for length in range(min(_longest(), len(words) - at), 0, -1):
        if (phrase := " ".join(words[at : at + length])) in _meanings():
            yield phrase


@cache
def _longest() -> int:
    return max(phrase.count(" ") + 1 for phrase in _meanings())


@cache
def _meanings() -> dict[str, dict[TalkKind, tuple[ReplyLanguage, ...]]]:
    """Return the kinds of each phrase, and the languages in which it is one."""
    found: dict[str, dict[TalkKind, tuple[ReplyLanguage, ...]]] = {}
    for kind, by_language in WORDS["phrases"].items():
        for language, phrases in by_language.items():
            for phrase in phrases:
                meanings = found.setdefault(" ".join(_split_words(phrase)), {})
                meanings[TalkKind(kind)] = (*meanings.get(TalkKind(kind), ()), language)
    return found
