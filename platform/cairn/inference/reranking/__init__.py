"""Rerankers, and the choice between them."""

from cairn.inference.reranking.deadline import TimelyReranker
from cairn.inference.reranking.llama_index import open_postprocessor
from cairn.inference.reranking.remote import RemoteReranker
from cairn.settings import Environment


def reranks(environment: Environment) -> bool:
    """Return whether a reranker is configured."""
    return bool(environment.reranker_base_url or environment.reranker_model)


def open_reranker(environment: Environment) -> TimelyReranker:
    """The server at RERANKER_BASE_URL, else the cross-encoder or postprocessor RERANKER_MODEL."""
    if environment.reranker_base_url:
        return TimelyReranker(
            RemoteReranker.from_environment(environment), seconds=environment.reranker_timeout_seconds
        )
    scorer = open_postprocessor(environment.reranker_model or "")
    return TimelyReranker(scorer, seconds=environment.reranker_timeout_seconds)


__all__ = ["TimelyReranker", "open_reranker", "reranks"]
