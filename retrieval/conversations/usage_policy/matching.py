"""Matching of questions with rules: by phrases of whole words, whatever their case and accents.

There are no regular expressions in rules, so that matching takes time in proportion to the question.
"""

import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache
from typing import Protocol

from cairn.hidden_characters import visible

_UNSPACED = re.compile(
    r"([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff])"
)
"""Characters of scripts without spaces between words. Each counts as a word."""
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


def find_phrase(rule: Rule, texts: Collection[str]) -> str | None:
    """Return the rule's first phrase in one of the texts that has none of the exceptions; None without."""
    for text in texts:
        words = split_words(text)
        if not any(_contains(words, exception) for exception in rule.exceptions):
            found = next((phrase for phrase in rule.phrases if _contains(words, phrase)), None)
            if found is not None:
                return found
    return None


def find_failing_examples(rule: Rule) -> list[str]:
    """Return the examples for which the rule doesn't do what they require."""
    missed = [each for each in rule.declined_examples if find_phrase(rule, [each]) is None]
    return missed + [each for each in rule.allowed_examples if find_phrase(rule, [each]) is not None]


def _contains(words: str, phrase: str) -> bool:
    pieces = _split_wildcards(phrase)
    if not all(piece in words for piece in pieces):
        return False
    # Every part is literal, and a wildcard ends at the next space: there is nothing to backtrack into.
    return len(pieces) == 1 or re.search(r"\S*".join(map(re.escape, pieces)), words) is not None


@lru_cache(maxsize=20_000)
def _split_wildcards(phrase: str) -> list[str]:
    return split_words(phrase, wildcards=True).split("*")
