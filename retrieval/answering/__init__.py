"""Answering: from a question to a cited, checked answer."""

from retrieval.answering.pipeline import answer

__all__ = ["answer"]
