"""Detects a figure that a sentence takes from a row about something else.

A table about the performance review has a row for the kick-off on October 1, and one for the final talk. "The
performance review is on October 1" has only words of the heading and of that row, but none that says which
row it is about. Where a passage has several rows with figures of a kind, the words that distinguish its rows
must connect a figure with the sentence.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from retrieval.answering.grounding.quantities import list_figures, unsupported_figures
from retrieval.answering.grounding.windows import Piece, find_header
from retrieval.answering.prompts.evidence import Passage
from retrieval.answering.text.blocks import (
    CELL_SEPARATOR,
    Block,
    Shape,
    Span,
    is_bulleted,
    split_blocks,
    strip_bullet,
)
from retrieval.answering.text.lexicon import MONTHS, RATES, UNITS, WEEKDAYS, Language
from retrieval.answering.text.number_words import write_digits
from retrieval.answering.text.terms import content_words, stem
from retrieval.types import Hit

_LABELLED: Final = re.compile(r"[^\n.!?:]{1,60}:\s+\S")
_MAX_LABELLED_CHARACTERS: Final = 200
_NUMBER: Final = re.compile(r"\d+(?:st|nd|rd|th)?")
_GENERIC_LABELS: Final = """amount cost costs date duration number price rate time total value when anzahl
betrag datum dauer kosten preis satz summe uhrzeit wann wert zeit"""
_GENERIC: Final = frozenset(_GENERIC_LABELS.split())
"""Labels that name a kind of figure, but not what it is about."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table, an item of a list, or a line with a label before a colon.

    `text` is without a bullet. `around`: the header and the lead-in. `words`: stems that show what it is
    about, with those of the line that introduces its group. `figures`: kind and text of each.
    """

    hit: Hit
    span: Span
    text: str
    around: str
    words: frozenset[str]
    figures: tuple[tuple[str, str], ...]

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(kind for kind, _ in self.figures)

    def contains(self, piece: Piece) -> bool:
        return piece.hit is self.hit and self.span.start <= piece.span.start < self.span.end

    def find_stated(self, figure: str) -> list[tuple[str, str]]:
        """Return the figures of the row that state a figure of a sentence."""
        return [
            known for known in self.figures if not unsupported_figures(figure, f"{self.around}\n{known[1]}")
        ]


def list_rows(passage: Passage, language: Language) -> Iterator[Row]:
    for hit in passage.hits:
        lead = ""
        for block in split_blocks(hit.text, hit.code):
            yield from _list_block_rows(hit, block, lead, language)
            last = _read(hit, block.lines[-1])
            lead = last if last.endswith(":") else ""


def subject_stems(text: str, language: Language) -> frozenset[str]:
    """Return the stems of the content words that aren't part of a figure and don't only name its kind."""
    return frozenset(
        stem(word, language)
        for word in content_words(write_digits(text), language)
        if not _is_value(word.casefold())
    )


@dataclass(frozen=True, slots=True)
class RowEvidence:
    """Evidence of a claim as rows. `window`: rows that may support it, `rows`: these and those beside them.

    `topic`: stems of the headings. `prose`: the headings, and what of the window isn't in rows.
    """

    window: Sequence[Row]
    rows: Sequence[Row]
    topic: frozenset[str]
    prose: str


def misattributes_figure(claim: str, subjects: frozenset[str], evidence: RowEvidence) -> bool:
    """Return whether a figure of the claim is only that of a row about something else.

    `subjects`: stems of the claim and its question.
    """
    return any(
        _is_misattributed(figure, claim, subjects, evidence)
        for figure in dict.fromkeys(written for _, written in list_figures(claim))
    )


def _is_misattributed(figure: str, claim: str, subjects: frozenset[str], evidence: RowEvidence) -> bool:
    texts = [evidence.prose, *(row.around for row in evidence.window)]
    if not all(unsupported_figures(figure, text) for text in texts):
        return False
    stated = [(row, known) for row in evidence.window for known in row.find_stated(figure)]
    kinds = frozenset(kind for _, (kind, _) in stated)
    siblings = [row for row in evidence.rows if row.kinds & kinds]
    if len(siblings) < 2 or _states_all(claim, siblings, kinds):
        return False
    return not any(
        _is_about(row, subjects, siblings, evidence.topic) or _states_label(claim, row, written)
        for row, (_, written) in stated
    )


def _states_all(claim: str, siblings: Sequence[Row], kinds: frozenset[str]) -> bool:
    """Return whether the claim has a figure of each row: what it states is true of all together."""
    return all(
        any(
            kind in kinds and not unsupported_figures(written, f"{row.around}\n{claim}")
            for kind, written in row.figures
        )
        for row in siblings
    )


def _is_about(row: Row, subjects: frozenset[str], siblings: Sequence[Row], topic: frozenset[str]) -> bool:
    """Return whether words connect the row: not those of all rows, nor those of the headings in several."""
    others = [other.words for other in siblings if other is not row]
    common = frozenset.intersection(*others) | (topic & frozenset.union(*others))
    distinct = row.words - common
    return not distinct or not distinct.isdisjoint(subjects)


def _states_label(claim: str, row: Row, figure: str) -> bool:
    """Return whether the claim has a figure that precedes this one in the row: "5 years | 25 days"."""
    before = row.text[: row.text.find(figure)]
    labels = [written for _, written in list_figures(before)]
    return any(not unsupported_figures(label, claim) for label in labels)


def _list_block_rows(hit: Hit, block: Block, lead: str, language: Language) -> Iterator[Row]:
    group = ""
    header, lines = _split_header(hit, block)
    for line in lines:
        text = strip_bullet(_read(hit, line))
        if not _is_row(hit, block, line, led=header.endswith(":")):
            continue
        figures = tuple(list_figures(text))
        words = subject_stems(f"{group}\n{text}", language)
        yield Row(hit, line, text, f"{lead}\n{header}", words, figures)
        if not figures and _introduces_group(block, text):
            group = text


def _split_header(hit: Hit, block: Block) -> tuple[str, Sequence[Span]]:
    """Split off a table's header, or the lead-in of a list."""
    first = _read(hit, block.lines[0])
    is_header = block.shape is Shape.TABLE and find_header(hit.text, block) is not None
    is_lead = block.shape is Shape.LIST and first.endswith(":") and not is_bulleted(first)
    return (first, block.lines[1:]) if is_header or is_lead else ("", block.lines)


def _is_row(hit: Hit, block: Block, line: Span, *, led: bool) -> bool:
    if line in block.code:
        return False
    text = _read(hit, line)
    if block.shape is Shape.TABLE:
        return bool(text.strip(" |:-+"))
    is_labelled = len(text) <= _MAX_LABELLED_CHARACTERS and bool(_LABELLED.match(text))
    return is_labelled or (block.shape is Shape.LIST and (led or is_bulleted(text)))


def _introduces_group(block: Block, text: str) -> bool:
    """Return whether a row is about those below it: a table's row of one cell, or another lead-in."""
    if block.shape is Shape.TABLE:
        return sum(bool(cell.strip()) for cell in text.split(CELL_SEPARATOR.strip())) == 1
    return text.endswith(":")


def _is_value(word: str) -> bool:
    return (
        bool(_NUMBER.fullmatch(word))
        or word in _GENERIC
        or any(word in names for names in (MONTHS, WEEKDAYS, UNITS, RATES))
    )


def _read(hit: Hit, span: Span) -> str:
    return hit.text[span.start : span.end]
