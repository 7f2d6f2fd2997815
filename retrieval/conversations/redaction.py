"""Provenance of an answer's text.

A supported sentence comes from its citations. Any other, whether it was left out or is shown with a mark, may
repeat anything in the prompt.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from retrieval.answering.generation.sentence_gate import UNSUPPORTED_SUFFIX

StoredSentence = dict[str, Any]
"""A sentence of an answer as stored in its row."""


def prompted_documents(trace: Mapping[str, Any]) -> set[UUID]:
    """Return the documents of the passages that were found."""
    return {UUID(str(hit["document"])) for hit in trace.get("hits", ())}


def cited_sentences(sentences: Sequence[StoredSentence]) -> list[StoredSentence]:
    return [each for each in sentences if each["supported"]]


def has_uncited_text(answer: str, sentences: Sequence[StoredSentence]) -> bool:
    """Return whether the answer has uncited text. Repetitions of cited sentences do not count."""
    known = {str(each["text"]) for each in cited_sentences(sentences)}
    others = {str(each["text"]) for each in sentences} - known
    return UNSUPPORTED_SUFFIX in answer or any(text in answer for text in others)
