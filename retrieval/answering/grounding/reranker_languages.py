"""Which texts a reranker reads. Scores for texts in other languages would be noise."""

from typing import Final

from cairn.inference.protocols import Reranker
from retrieval.answering.text.lexicon import recognised_language
from retrieval.types import Hit

SAMPLE_CHARACTERS: Final = 300  # of a passage, to recognise the language


def is_foreign(reranker: Reranker, text: str) -> bool:
    """Return whether the text is clearly in a language that the reranker does not read."""
    return reranker.languages is not None and recognised_language(text) not in {None, *reranker.languages}


def is_foreign_passage(reranker: Reranker, hit: Hit) -> bool:
    return is_foreign(reranker, hit.headed_text[:SAMPLE_CHARACTERS])


def supports_language(reranker: Reranker, text: str) -> bool:
    return reranker.languages is None or recognised_language(text) in reranker.languages
