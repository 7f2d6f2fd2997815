"""The language that a document is written in."""

from collections.abc import Iterator, Sequence
from typing import Final

from cairn.library.rendition import Element
from ingestion.parse import language_model
from ingestion.parse.build import CODE

_SAMPLES: Final = 25
_SAMPLE_CHARACTERS: Final = 200
_FEWEST_LETTERS: Final = 20
_SURE: Final = 0.6


def of(elements: Sequence[Element]) -> str | None:
    """ISO 639-1; None when there is too little text to tell, or none that any language explains."""
    sample = "\n".join(_samples([one for one in elements if one.category != CODE]))
    if sum(map(str.isalpha, sample)) < _FEWEST_LETTERS:
        return None
    language, confidence = language_model.identify(sample)
    return language if confidence >= _SURE else None


def _samples(elements: Sequence[Element]) -> Iterator[str]:
    """From beginning to end, since covers and appendices may be in another language than the text."""
    step = max(1, len(elements) // _SAMPLES)
    for element in elements[::step][:_SAMPLES]:
        yield element.text[:_SAMPLE_CHARACTERS]
