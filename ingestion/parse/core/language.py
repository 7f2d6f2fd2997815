"""Detection of a document's language."""

from collections.abc import Iterator, Sequence
from typing import Final

from cairn.inference import language_identification
from cairn.library.rendition import Element
from ingestion.parse.core.rendition_builder import CODE

_SAMPLES: Final = 25
_SAMPLE_CHARACTERS: Final = 200
_FEWEST_LETTERS: Final = 20
_SURE: Final = 0.6


def of(elements: Sequence[Element]) -> str | None:
    """Return the ISO 639-1 code, or None if there is too little text or no language is likely."""
    sample = "\n".join(_samples([one for one in elements if one.category != CODE]))
    if sum(map(str.isalpha, sample)) < _FEWEST_LETTERS:
        return None
    language, confidence = language_identification.identify(sample)
    return language if confidence >= _SURE else None


def _samples(elements: Sequence[Element]) -> Iterator[str]:
    """Yield samples from the whole document, since covers and appendices may use another language."""
    step = max(1, len(elements) // _SAMPLES)
    for element in elements[::step][:_SAMPLES]:
        yield element.text[:_SAMPLE_CHARACTERS]
