"""Answering: from a question to a cited, checked answer."""

from retrieval.answering.generation.pipeline import answer

__all__ = ["answer"]
