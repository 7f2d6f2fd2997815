"""What the words of an answer may come from.

A sentence that a passage supports comes from what it cites. Any other, whether it was left out of the
answer or stands in it with a mark, may repeat whatever the model had read.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from retrieval.answering.drafting import UNSUPPORTED_SUFFIX

StoredSentence = dict[str, Any]
"""A sentence of an answer as its row keeps it."""


def prompted_documents(trace: Mapping[str, Any]) -> set[UUID]:
    """The documents of the passages that were found."""
    return {UUID(str(hit["document"])) for hit in trace.get("hits", ())}


def cited_sentences(sentences: Sequence[StoredSentence]) -> list[StoredSentence]:
    return [each for each in sentences if each["supported"]]


def has_uncited_text(answer: str, sentences: Sequence[StoredSentence]) -> bool:
    """Words stand in the answer that no citation stands for. What stands in it once, and was left out where
    it came again, is no such word."""
    known = {str(each["text"]) for each in cited_sentences(sentences)}
    others = {str(each["text"]) for each in sentences} - known
    return UNSUPPORTED_SUFFIX in answer or any(text in answer for text in others)
