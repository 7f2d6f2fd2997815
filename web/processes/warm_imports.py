"""Warm-up of other slow parts. Loaded by name in `web.processes.warmup`."""

import ingestion.tasks  # noqa: F401 - the worker finds its tasks imported
from cairn.inference import registry
from ingestion.indexing.embedding_batcher import close_batcher
from ingestion.parse.parser_pool import close_parsers, parser_pool
from ingestion.reindexing import runner
from ingestion.sources import runner as source_runner
from retrieval.index.generations import active, active_index, close_index


def embedding_model() -> str:
    """Load the model of the active index, whichever is configured."""
    model = active().embedder
    model.embed_query("warm")
    return model.model


def vector_index() -> str:
    return f"{active_index().count()} points"


def parser() -> str:
    """Start a parser process, so that the first file need not wait for it."""
    parser_pool().warm()
    return ""


def close() -> None:
    """Close all parts. Running answers end first, as they may use them."""
    close_batcher()
    runner.close()
    source_runner.close()
    registry.close()
    close_parsers()
    close_index()


LOAD = {"Embedding model": embedding_model, "Vector index": vector_index, "Parser": parser}
