"""Finds documents that contradict each other, by rules that prefer a miss to a false alarm.

Two sentences of different documents conflict when they have the same words apart from figures, are about the
same subject, and have different figures of the same unit, or when one denies the other. Words that only one
of them has ("part-time", "in Berlin") make them sentences about different things; between versions of one
title a word or two may have changed. Figures without a known unit are not compared.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from retrieval.answering.grounding.check import Ground
from retrieval.answering.grounding.negation import clauses
from retrieval.answering.grounding.quantities import Figures, Quantity, figures_of
from retrieval.answering.text.blocks import sentences_in, split_blocks
from retrieval.answering.text.lexicon import MONTHS, SCALES, UNITS, Language, language_of
from retrieval.answering.text.number_words import write_digits
from retrieval.answering.text.terms import content_stems, content_words, coverage, stem
from retrieval.types import Hit

MAX_CONFLICTS = 2
MIN_SHARED_WORDS = 2  # words in common, apart from figures
MAX_CHANGED_WORDS = 2  # words that may differ between two versions of one title
MIN_SUBJECT_COVERAGE = 0.5  # share of the question's content words that both must speak of
MAX_SENTENCE_WORDS = 40  # words of a sentence that is compared

_NEUTRAL_EN = """employee employees staff colleague colleagues worker workers people person everyone member
members receive receives earn earns get gets grant granted entitled entitlement allowed give given offer
offers provided amount amounts currently now since effective as of total full year years annually yearly per
from starting date policy applies apply applicable set valid version"""
_NEUTRAL_DE = """mitarbeiter mitarbeitende mitarbeitenden beschäftigte beschäftigten angestellte personen
erhalten erhält bekommen bekommt haben stehen zu beträgt betragen derzeit seit ab insgesamt jahr jahre
jährlich pro stand gilt gelten gültig"""
_NEUTRAL = frozenset(f"{_NEUTRAL_EN} {_NEUTRAL_DE}".split())
_FIGURES = frozenset({*MONTHS, *SCALES, *UNITS, "am", "pm", "uhr"})
_AT_MOST = re.compile(
    r"\b(?:up to|at most|maximum|no more than|not exceed\w*|höchstens|bis zu|maximal)\b", re.IGNORECASE
)
_AT_LEAST = re.compile(
    r"\b(?:at least|minimum|no (?:fewer|less) than|mindestens|wenigstens)\b", re.IGNORECASE
)
_VERSION = re.compile(
    r"\b(?:v(?:ersion)?\.? ?)?\d[\d.]*\b|\b(?:old|new|draft|final|alt|neu|copy|kopie)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two contradicting sentences. `figures`: those of both, as written; None where one denies the other."""

    first: Ground
    second: Ground
    figures: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class _Statement:
    hit: Hit
    text: str
    stems: frozenset[str]  # without figures, units and words that change nothing
    heading: frozenset[str]
    figures: Figures
    negated: bool


def find_conflicts(question: str, shown: Sequence[Ground], hits: Sequence[Hit]) -> list[Conflict]:
    """Find contradictions between the answer and other documents among the hits, at most one per pair."""
    asked = content_stems(question, language_of(question))
    found: dict[frozenset[object], Conflict] = {}
    others = [statement for hit in hits for statement in _find_statements(hit, hit.text, asked)]
    for ground in shown:
        for statement in _find_statements(ground.hit, ground.quote, asked):
            for other in others:
                pair = frozenset({ground.hit.document, other.hit.document})
                if len(pair) == 2 and pair not in found and (difference := _compare(statement, other)):
                    found[pair] = Conflict(ground, Ground(other.hit, other.text), difference[0])
    return list(found.values())[:MAX_CONFLICTS]


def _compare(one: _Statement, other: _Statement) -> tuple[tuple[str, str] | None] | None:
    if not _is_comparable(one, other):
        return None
    if figures := _differing_figures(one.figures, other.figures):
        return (figures,)
    bare = not (one.figures.values or other.figures.values)
    return (None,) if bare and one.negated != other.negated and one.stems == other.stems else None


def _on_subject(sentence: str, heading: frozenset[str], asked: frozenset[str]) -> bool:
    stems = content_stems(sentence, language_of(sentence)) | heading
    return not asked or coverage(asked, stems) >= MIN_SUBJECT_COVERAGE


def _is_comparable(one: _Statement, other: _Statement) -> bool:
    if _bound_direction(one.text) != _bound_direction(other.text):
        return False
    shared = one.stems & other.stems
    apart = (one.stems - other.stems - other.heading) | (other.stems - one.stems - one.heading)
    versions = _family(one.hit) == _family(other.hit)
    if len(shared) < (MIN_SHARED_WORDS if not versions else 1):
        return False
    return len(apart) <= (min(MAX_CHANGED_WORDS, len(shared) - 1) if versions else 0)


def _bound_direction(text: str) -> str:
    return "most" if _AT_MOST.search(text) else "least" if _AT_LEAST.search(text) else ""


def _family(hit: Hit) -> str:
    """Return the title without its version, date or draft marker."""
    return " ".join(re.findall(r"\w+", _VERSION.sub(" ", hit.title.casefold())))


def _differing_figures(one: Figures, other: Figures) -> tuple[str, str] | None:
    """Return the first figures that differ, of a kind that both have."""
    if figures := _differing_quantities(one.quantities, other.quantities):
        return figures
    if _units(one.quantities) or _units(other.quantities):
        return None
    if (
        one.dates
        and other.dates
        and not any(a.supports(b) or b.supports(a) for a in one.dates for b in other.dates)
    ):
        return _trim_figure(one.dates[0].written), _trim_figure(other.dates[0].written)
    if one.times and other.times and not any(a & b for a, _ in one.times for b, _ in other.times):
        return _trim_figure(one.times[0][1]), _trim_figure(other.times[0][1])
    return None


def _differing_quantities(one: Sequence[Quantity], other: Sequence[Quantity]) -> tuple[str, str] | None:
    if _units(one) != _units(other):
        return None
    for unit in dict.fromkeys(item.unit for item in one if item.unit):
        mine = [item for item in one if item.unit == unit]
        theirs = [item for item in other if item.unit == unit]
        if len(mine) == len(theirs):
            pairs = list(zip(mine, theirs, strict=True))
        else:
            shared = any(a.readings & b.readings for a in mine for b in theirs)
            pairs = [] if shared else [(mine[0], theirs[0])]
        if differing := [
            (_trim_figure(a.written), _trim_figure(b.written))
            for a, b in pairs
            if not a.readings & b.readings
        ]:
            return differing[0]
    return None


def _trim_figure(written: str) -> str:
    """Remove trailing words that do not belong to the figure: "$180 a"."""
    words = written.rstrip(".").split()
    while len(words) > 1 and words[-1].casefold() not in _FIGURES and not any(map(str.isdigit, words[-1])):
        words.pop()
    return " ".join(words)


def _units(quantities: Sequence[Quantity]) -> frozenset[str]:
    return frozenset(item.unit for item in quantities if item.unit)


def _find_statements(hit: Hit, text: str, asked: frozenset[str]) -> Iterator[_Statement]:
    """Yield the sentences about the subject of the question."""
    language = language_of(text)
    heading = content_stems(" ".join((hit.title, *hit.section)), language)
    for block in split_blocks(text):
        for span in sentences_in(text, block):
            sentence = text[span.start : span.end]
            if len(sentence.split()) <= MAX_SENTENCE_WORDS and _on_subject(sentence, heading, asked):
                negated = any(clause.negated for clause in clauses(sentence, language))
                stems = _stems(sentence, language)
                yield _Statement(hit, sentence, stems, heading, figures_of(sentence), negated)


def _stems(text: str, language: Language) -> frozenset[str]:
    words = (
        word
        for word in content_words(write_digits(text), language)
        if word.casefold() not in _FIGURES | _NEUTRAL and not any(letter.isdigit() for letter in word)
    )
    return frozenset(stem(word, language) for word in words)
