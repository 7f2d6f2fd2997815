"""Edits of near copies: what a claim changed in a sentence of its evidence.

A claim that follows a sentence of the evidence nearly word for word must not replace a figure, unit, name or
day by another one, nor reverse the meaning by a small word. Texts that share few words in the same order are
not near copies and have no edits.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from retrieval.answering.grounding.antonyms import is_opposite_replacement, obliges_more
from retrieval.answering.grounding.negation import NEGATORS, PREFIXED
from retrieval.answering.grounding.quantities import has_quantity, unsupported_figures
from retrieval.answering.text.lexicon import MONTHS, UNITS, WEEKDAYS, Language
from retrieval.answering.text.number_words import write_digits
from retrieval.answering.text.terms import content_stems

MIN_OVERLAP = 0.6  # share of the claim's words that stand in the evidence in the same order
MIN_WORDS = 3  # words
MAX_OMITTED_WORDS = 3  # words; a longer piece of evidence that is left out is a clause of its own

_TOKEN = re.compile(r"\d+(?:[.,:/]\d+)*%?|[^\W\d_]+|[%€$£]")
_SIGNS = frozenset(":/")
_CONTRACTED = re.compile(r"(?<=\w)n['’]t\b|(?<=can)not\b", re.IGNORECASE)
_POSSESSIVE = re.compile(r"['’]s\b")
_LIMITS = frozenset(
    (
        "only",
        "solely",
        "exclusively",
        "merely",
        "sole",
        "nur",
        "ausschließlich",
        "lediglich",
        "bloß",
        "einzig",
    )
)
_EXCEPTIONS = frozenset(("except", "excluding", "unless", "außer", "ausser", "ausgenommen"))
_EXCEPTION_PHRASE = re.compile(
    r"\b(?:other than|apart from|aside from|with the exception of|except for|abgesehen von|mit ausnahme)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Edit:
    """Words of the claim that replace others in the evidence. Either side may be empty.

    `opens`: at the beginning of the claim, where any word is capitalised.
    """

    claim: str
    evidence: str
    opens: bool = False


def substitutions(claim: str, quote: str, language: Language, elsewhere: frozenset[str]) -> tuple[Edit, ...]:
    """Return the replaced words. `elsewhere`: stems of the passage that are not in the quote."""
    return tuple(
        edit
        for edit in find_edits(claim, quote)
        if edit.claim and edit.evidence and _is_substitution(edit, language, elsewhere)
    )


def flips_polarity(claim: str, quote: str) -> bool:
    """Return whether a negation, a duty or a direction was added, removed or replaced by its opposite."""
    return any(
        _denials(edit.claim) % 2 != _denials(edit.evidence) % 2
        or is_opposite_replacement(edit.claim, edit.evidence)
        or obliges_more(edit.claim, edit.evidence)
        for edit in find_edits(claim, quote)
        if _is_close(edit)
    )


def changes_restriction(claim: str, quote: str) -> bool:
    """Return whether a restricting word was added or left out. One that only moved is no change here, nor one
    in a clause that was left out, unless that is the exception itself."""
    plain_claim, plain_quote = (_EXCEPTION_PHRASE.sub("except", text) for text in (claim, quote))
    edits = find_edits(plain_claim, plain_quote)
    close = [edit for edit in edits if _is_close(edit)]
    return _changes_count(close, _LIMITS) or _changes_count(edits, _EXCEPTIONS)


def overlap(claim: str, quote: str) -> float:
    """Return the share of the claim's words that the quote has in the same order."""
    words = _tokens(claim)
    return _matching_words(_matcher(claim, quote)) / len(words) if words else 0.0


@lru_cache(maxsize=512)
def find_edits(claim: str, quote: str) -> tuple[Edit, ...]:
    """Return the edits of a near copy; none if the texts share too few words in order."""
    words = _tokens(claim)
    matcher = _matcher(claim, quote)
    if len(words) < MIN_WORDS or _matching_words(matcher) < MIN_OVERLAP * len(words):
        return ()
    return tuple(_iter_edits(words, _tokens(quote), matcher))


def _matcher(claim: str, quote: str) -> "SequenceMatcher[str]":
    claim_words, quote_words = _tokens(claim), _tokens(quote)
    return SequenceMatcher(
        None,
        [word.casefold() for word in claim_words],
        [word.casefold() for word in quote_words],
        autojunk=False,
    )


def _matching_words(matcher: "SequenceMatcher[str]") -> int:
    return sum(block.size for block in matcher.get_matching_blocks())


def _iter_edits(
    claim_words: list[str], evidence_words: list[str], matcher: "SequenceMatcher[str]"
) -> Iterator[Edit]:
    """Yield the edits. Before the first shared word and after the last, only as many words of the evidence
    count as the claim has there, but at least one, which may be a "not"."""
    codes = matcher.get_opcodes()
    for at, (tag, start, end, evidence_start, evidence_end) in enumerate(codes):
        if tag == "equal":
            continue
        if at == 0:
            evidence_start = max(evidence_start, evidence_end - max(1, end - start))
        elif at == len(codes) - 1:
            evidence_end = min(evidence_end, evidence_start + max(1, end - start))
        yield Edit(
            " ".join(claim_words[start:end]),
            " ".join(evidence_words[evidence_start:evidence_end]),
            opens=start == 0,
        )


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(_POSSESSIVE.sub("", _CONTRACTED.sub(" not", write_digits(text, vague=True))))


def _is_substitution(edit: Edit, language: Language, elsewhere: frozenset[str]) -> bool:
    claim, evidence = edit.claim.split(), edit.evidence.split()
    if unsupported_figures(edit.claim, edit.evidence) and (
        has_quantity(edit.evidence) or _calendar(evidence)
    ):
        return True
    if (signs := _signs(claim)) and (others := _signs(evidence)) and signs != others:
        return True
    if (units := _units(claim)) and (other := _units(evidence)) and not units & other:
        return True
    if (days := _calendar(claim)) and not days <= _calendar(evidence):
        return True
    if not edit.opens and _is_renamed(claim, evidence):
        return True
    new = content_stems(edit.claim, language) - content_stems(edit.evidence, language)
    return bool(new & elsewhere and content_stems(edit.evidence, language))


def _is_renamed(claim: list[str], evidence: list[str]) -> bool:
    known = {word.casefold() for word in evidence}
    return any(word[0].isupper() and word.casefold() not in known for word in claim)


def _signs(words: list[str]) -> list[str]:
    """Return numbers with a separator, such as 07/2012 and 1:1."""
    return [word for word in words if word[0].isdigit() and not _SIGNS.isdisjoint(word)]


def _units(words: list[str]) -> frozenset[str]:
    return frozenset(UNITS[word.casefold()] for word in words if word.casefold() in UNITS)


def _calendar(words: list[str]) -> frozenset[str]:
    """Return months and days of the week in a form independent of language and spelling."""
    found = [(MONTHS, "m"), (WEEKDAYS, "d")]
    return frozenset(
        f"{mark}{names[word.casefold()]}"
        for names, mark in found
        for word in words
        if word.casefold() in names and word[0].isupper()
    )


def _is_close(edit: Edit) -> bool:
    """Return whether it isn't just a clause that was left out."""
    return bool(edit.claim) or len(edit.evidence.split()) <= MAX_OMITTED_WORDS


def _changes_count(edits: Sequence[Edit], words: frozenset[str]) -> bool:
    return _count(words, [edit.claim for edit in edits]) != _count(words, [edit.evidence for edit in edits])


def _count(words: frozenset[str], texts: Sequence[str]) -> int:
    return sum(word.casefold() in words for text in texts for word in text.split())


def _denials(text: str) -> int:
    words = [word.casefold() for word in text.split()]
    return sum((word in NEGATORS) + (word in PREFIXED) for word in words)
