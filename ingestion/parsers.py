"""The parser processes of this process."""

import threading

from cairn.settings import environment
from ingestion.parse.sandbox import Limits, ParserPool

_lock = threading.Lock()
_pool: ParserPool | None = None


def parser_pool() -> ParserPool:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ParserPool(size=environment().worker_threads)
        return _pool


def limits() -> Limits:
    env = environment()
    return Limits(memory_mb=env.parse_memory_mb, seconds=env.parse_seconds, pages=env.max_pages)


def close_parsers() -> None:
    global _pool
    with _lock:
        pool, _pool = _pool, None
    if pool is not None:
        pool.close()
