"""Matching of questions with rules: by phrases of whole words, whatever their case and accents.

Phrases may continue across sentences; an exception only covers the sentence that contains it, since any
question could otherwise be added to one with an exception.

There are no regular expressions in rules, so that matching takes time in proportion to the question.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Protocol

from cairn.hidden_characters import visible
from retrieval.answering.text.lexicon import ABBREVIATIONS, NUMBER_ABBREVIATIONS
from retrieval.answering.text.sentences import FULL_STOPS

_UNSPACED = re.compile(
    r"([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff])"
)
"""Characters of scripts without spaces between words. Each counts as a word."""
_LINE_BREAKS = r"\n\r\f\x85\u2028\u2029"
_SENTENCE_END = re.compile(rf"[!?;؛‽⸮܀{FULL_STOPS}{_LINE_BREAKS}]|\.(?=[^\w\s]{{0,3}}(?:\s|$))")
"""End of a sentence after NFKC, which replaces full-width punctuation."""
_LAST_WORD = re.compile(r"[\w.]+\Z")
_LONGEST_ABBREVIATION = 20
_VISIBLE_CHARACTER = re.compile(r"\S")
_MISPLACED_WILDCARD = re.compile(r"(?<![^\W_])\*|\*(?=\S)")


class Rule(Protocol):
    phrases: list[str]
    exceptions: list[str]
    declined_examples: list[str]
    allowed_examples: list[str]


def is_valid_phrase(phrase: str) -> bool:
    """Return whether it has a word, and `*` only at ends of words."""
    return bool(split_words(phrase).strip()) and not _MISPLACED_WILDCARD.search(phrase)


def split_words(text: str, *, wildcards: bool = False) -> str:
    """Return the words in lower case and without accents, with a space around each. `*` is a `wildcards`
    character of a word, or none."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", visible(text)).casefold())
    letters = [each for each in plain if not unicodedata.combining(each)]
    plain_words = "".join(
        each if (wildcards and each == "*") or unicodedata.category(each)[0] in "LMN" else " "
        for each in letters
    )
    words = " ".join(_UNSPACED.sub(r" \1 ", plain_words).split())
    return f" {words.replace(' *', '*')} "


def split_sentences(text: str) -> Iterator[str]:
    """Return the sentences of a text, cut at full stops, question and exclamation marks, semicolons and line
    breaks of all scripts."""
    plain = unicodedata.normalize("NFKC", visible(text))
    start = 0
    for end in _SENTENCE_END.finditer(plain):
        if end.group() == "." and _is_abbreviated(plain, end.start()):
            continue
        yield plain[start : end.start()]
        start = end.end()
    yield plain[start:]


def find_phrase(rule: Rule, texts: Collection[str]) -> str | None:
    """Return the rule's first phrase in one of the texts, outside sentences with exceptions; None without."""
    for text in texts:
        words = _remove_excepted_sentences(text, rule.exceptions)
        found = next((phrase for phrase in rule.phrases if _contains(words, phrase)), None)
        if found is not None:
            return found
    return None


def find_failing_examples(rule: Rule) -> list[str]:
    """Return the examples for which the rule doesn't do what they require."""
    missed = [each for each in rule.declined_examples if find_phrase(rule, [each]) is None]
    return missed + [each for each in rule.allowed_examples if find_phrase(rule, [each]) is not None]


def _remove_excepted_sentences(text: str, exceptions: Collection[str]) -> str:
    """Return the words of the text. A dot, which no phrase contains, replaces sentences with exceptions."""
    words = split_words(text)
    present = [each for each in exceptions if _contains(words, each)]
    if not present:
        return words
    sentences = map(split_words, split_sentences(text))
    rest = ["." if any(_contains(each, exception) for exception in present) else each for each in sentences]
    return f" {' '.join(' '.join(rest).split())} "


def _is_abbreviated(text: str, stop: int) -> bool:
    """Return whether the full stop belongs to an abbreviation, an initial or a number, as in "1. Mai"."""
    last = _LAST_WORD.search(text[max(0, stop - _LONGEST_ABBREVIATION) : stop])
    word = last.group().casefold() if last else ""
    if word in NUMBER_ABBREVIATIONS:
        following = _VISIBLE_CHARACTER.search(text, stop + 1)
        return following is not None and following.group().isdigit()
    return word in ABBREVIATIONS or len(word) == 1 or (word.isdigit() and len(word) == 2)


def _contains(words: str, phrase: str) -> bool:
    pieces = _split_wildcards(phrase)
    if not all(piece in words for piece in pieces):
        return False
    # Every part is literal, and a wildcard ends at the next space: there is nothing to backtrack into.
    return len(pieces) == 1 or re.search(r"\S*".join(map(re.escape, pieces)), words) is not None


@lru_cache(maxsize=20_000)
def _split_wildcards(phrase: str) -> list[str]:
    return split_words(phrase, wildcards=True).split("*")
