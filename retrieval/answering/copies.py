"""Near copies: what a claim changed in the words of its evidence.

A claim that follows a sentence of the evidence nearly word for word must not put another figure, unit, name
or day in the place of one, nor turn it round by a small word. Two texts that share few words in the same
order are no near copies; of them, nothing is said here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from retrieval.answering.lexicon import MONTHS, UNITS, WEEKDAYS, Language
from retrieval.answering.negation import NEGATORS, PREFIXED
from retrieval.answering.opposites import obliges_more, replaced_by_opposite
from retrieval.answering.quantities import has_quantity, unsupported_figures
from retrieval.answering.terms import content_stems

FOLLOWED = 0.6  # share of the claim's words that stand in the evidence in the same order
FEWEST = 3  # words
SHORT = 3  # words; a longer piece of evidence that is left out is a clause of its own

_TOKEN = re.compile(r"\d+(?:[.,:/]\d+)*%?|[^\W\d_]+|[%€$£]")
_SIGNS = frozenset(":/")
_CONTRACTED = re.compile(r"(?<=\w)n['’]t\b|(?<=can)not\b", re.IGNORECASE)
_POSSESSIVE = re.compile(r"['’]s\b")


@dataclass(frozen=True, slots=True)
class Change:
    """Words of the claim that stand where the evidence has others. Either may be empty.

    `opens`: at the beginning of the claim, where any word has a capital.
    """

    said: str
    told: str
    opens: bool = False


def swapped(claim: str, quote: str, language: Language, elsewhere: frozenset[str]) -> tuple[Change, ...]:
    """Where words stand in another's place. `elsewhere`: stems of the passage that the quote has not."""
    return tuple(
        change
        for change in changes(claim, quote)
        if change.said and change.told and _is_swap(change, language, elsewhere)
    )


def turned(claim: str, quote: str) -> bool:
    """Whether a denial, a duty or a direction came in, went out or was replaced by its opposite."""
    return any(
        _denials(change.said) % 2 != _denials(change.told) % 2
        or replaced_by_opposite(change.said, change.told)
        or obliges_more(change.said, change.told)
        for change in changes(claim, quote)
        if change.said or len(change.told.split()) <= SHORT
    )


def followed(claim: str, quote: str) -> float:
    """Share of the claim's words that the quote has in the same order."""
    said = _tokens(claim)
    return _in_order(_matcher(claim, quote)) / len(said) if said else 0.0


@lru_cache(maxsize=512)
def changes(claim: str, quote: str) -> tuple[Change, ...]:
    said = _tokens(claim)
    matcher = _matcher(claim, quote)
    if len(said) < FEWEST or _in_order(matcher) < FOLLOWED * len(said):
        return ()
    return tuple(_changes(said, _tokens(quote), matcher))


def _matcher(claim: str, quote: str) -> "SequenceMatcher[str]":
    said, told = _tokens(claim), _tokens(quote)
    return SequenceMatcher(
        None, [word.casefold() for word in said], [word.casefold() for word in told], autojunk=False
    )


def _in_order(matcher: "SequenceMatcher[str]") -> int:
    return sum(block.size for block in matcher.get_matching_blocks())


def _changes(said: list[str], told: list[str], matcher: "SequenceMatcher[str]") -> Iterator[Change]:
    """Of what the evidence has before the first word that both have, or behind the last, only as many words
    count as the claim has there, and at least one, which may be a "not"."""
    codes = matcher.get_opcodes()
    for at, (tag, start, end, told_start, told_end) in enumerate(codes):
        if tag == "equal":
            continue
        if at == 0:
            told_start = max(told_start, told_end - max(1, end - start))
        elif at == len(codes) - 1:
            told_end = min(told_end, told_start + max(1, end - start))
        yield Change(" ".join(said[start:end]), " ".join(told[told_start:told_end]), opens=start == 0)


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(_POSSESSIVE.sub("", _CONTRACTED.sub(" not", text)))


def _is_swap(change: Change, language: Language, elsewhere: frozenset[str]) -> bool:
    said, told = change.said.split(), change.told.split()
    if unsupported_figures(change.said, change.told) and (has_quantity(change.told) or _calendar(told)):
        return True
    if (signs := _signs(said)) and (others := _signs(told)) and signs != others:
        return True
    if (units := _units(said)) and (other := _units(told)) and not units & other:
        return True
    if (days := _calendar(said)) and not days <= _calendar(told):
        return True
    if not change.opens and _is_renamed(said, told):
        return True
    new = content_stems(change.said, language) - content_stems(change.told, language)
    return bool(new & elsewhere and content_stems(change.told, language))


def _is_renamed(said: list[str], told: list[str]) -> bool:
    known = {word.casefold() for word in told}
    return any(word[0].isupper() and word.casefold() not in known for word in said)


def _signs(words: list[str]) -> list[str]:
    """Such as 07/2012 and 1:1."""
    return [word for word in words if word[0].isdigit() and not _SIGNS.isdisjoint(word)]


def _units(words: list[str]) -> frozenset[str]:
    return frozenset(UNITS[word.casefold()] for word in words if word.casefold() in UNITS)


def _calendar(words: list[str]) -> frozenset[str]:
    """Months and days of the week, as they are counted."""
    found = [(MONTHS, "m"), (WEEKDAYS, "d")]
    return frozenset(
        f"{mark}{names[word.casefold()]}"
        for names, mark in found
        for word in words
        if word.casefold() in names and word[0].isupper()
    )


def _denials(text: str) -> int:
    words = [word.casefold() for word in text.split()]
    return sum((word in NEGATORS) + (word in PREFIXED) for word in words)
