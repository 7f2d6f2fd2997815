"""Replaces misspelt words of a question."""

import re
from collections.abc import Iterable, Sequence

from retrieval.answering.text.terms import WORD
from retrieval.types import Hit, SpellingCorrection


def correct_text(text: str, corrections: Iterable[SpellingCorrection]) -> str:
    for each in corrections:
        text = re.sub(rf"(?<!\w){re.escape(each.typed)}(?!\w)", each.searched, text)
    return text


def quote_as_typed(text: str, corrections: Iterable[SpellingCorrection]) -> str:
    """Put the typed words in quotation marks, so that they are searched for as they are."""
    return correct_text(text, [SpellingCorrection(each.typed, f'"{each.typed}"') for each in corrections])


def are_found(corrections: Iterable[SpellingCorrection], hits: Sequence[Hit]) -> bool:
    """Return whether the hits have all words that were searched for instead."""
    words = {
        word.casefold()
        for hit in hits
        for word in WORD.findall(" ".join((hit.title, *hit.section, hit.text)))
    }
    return all(each.searched.casefold() in words for each in corrections)
