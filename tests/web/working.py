"""Fixtures for tests that parse uploaded files immediately, with one parser."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage

from ingestion import broker
from ingestion.jobs import lifecycle
from ingestion.models import Lane
from ingestion.parse import parser_pool
from ingestion.parse.sandbox.pool import ParserPool
from ingestion.pipeline import run

Task = Callable[[str], object]


@pytest.fixture(scope="module")
def pool() -> Iterator[ParserPool]:
    pool = ParserPool(size=1)
    yield pool
    pool.close()


def files_on_disk(settings: Any, folder: Path) -> None:
    """Parsers read files."""
    storage = f"{FileSystemStorage.__module__}.FileSystemStorage"
    default = {"BACKEND": storage, "OPTIONS": {"location": str(folder)}}
    settings.STORAGES = {**settings.STORAGES, "default": default}


def work_at_once(monkeypatch: pytest.MonkeyPatch, pool: ParserPool, others: dict[str, Task]) -> None:
    """Messages to workers are obeyed by who sends them. `others`: tasks beside the reading of a document."""

    def work(lane: str) -> None:
        lease = lifecycle.claim_next(Lane(lane))
        assert lease is not None
        run.process(lease)

    tasks = {"ingestion.work": work, **others}

    def send(task: str, _where: str, *args: object) -> None:
        if task in tasks:
            tasks[task](str(args[0]))

    monkeypatch.setattr(parser_pool, "_pool", pool)
    monkeypatch.setattr(broker, "send", send)
