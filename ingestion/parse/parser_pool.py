"""The parser pool of this process."""

import threading

from cairn.settings import environment
from ingestion.indexing.embedding_batcher import has_waiting_texts
from ingestion.parse.sandbox.pool import Limits, ParserPool

_lock = threading.Lock()
_pool: ParserPool | None = None


def parser_pool() -> ParserPool:
    global _pool
    with _lock:
        if _pool is None:
            env = environment()
            _pool = ParserPool(
                size=env.parser_processes, folder=env.data_dir / "tmp", backlog=has_waiting_texts
            )
        return _pool


def limits() -> Limits:
    env = environment()
    return Limits(
        memory_mb=env.parse_memory_mb,
        seconds=env.parse_timeout_seconds,
        pages=env.max_pages,
        part_bytes=env.upload_max_mb << 20,
        ocr_pages=env.max_ocr_pages,
        ocr_languages=env.ocr_languages,
    )


def close_parsers() -> None:
    global _pool
    with _lock:
        pool, _pool = _pool, None
    if pool is not None:
        pool.close()
