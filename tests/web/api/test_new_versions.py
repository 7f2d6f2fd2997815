"""A document that is uploaded again, over HTTP, read by a real parser, in a real index."""

from pathlib import Path
from typing import Any

import pytest

from cairn.library.models import KnowledgeBase
from ingestion.parse.sandbox.pool import ParserPool
from retrieval.engine import Engine
from tests.fakes import FakeEmbedder
from tests.web.api.conftest import Caller
from tests.web.working import files_on_disk, work_at_once

pytestmark = pytest.mark.django_db(transaction=True)
SECTIONS = 40


@pytest.fixture(autouse=True)
def working(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: ParserPool, parts: Engine
) -> None:
    files_on_disk(settings, tmp_path)
    work_at_once(monkeypatch, pool, {})


def rules(**changed: str) -> bytes:
    sections = (
        f"## Room {number}\n\n{changed.get(f'room{number}', f'Room {number} has {number + 3} chairs.')}\n"
        for number in range(SECTIONS)
    )
    return "\n".join(["# Rooms\n", *sections]).encode()


def best(caller: Caller, query: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = caller.post("/search", {"query": query}).json()["results"]
    return found[0]


@pytest.mark.slow
def test_new_version_embeds_only_changed_sections(mia: Caller, base: KnowledgeBase, parts: Engine) -> None:
    assert isinstance(parts.embedder, FakeEmbedder)
    mia.upload(str(base.id), "rooms.md", rules())
    assert sum(parts.embedder.batches) == SECTIONS
    before = best(mia, "chairs in room 31")
    sent = mia.upload(str(base.id), "rooms.md", rules(room7="Room 7 is a sauna now."))
    document = mia.get(f"/documents/{sent.json()['document']['id']}").json()
    assert (document["status"], document["version"], document["chunks"]) == ("ready", 2, SECTIONS)
    assert sum(parts.embedder.batches) == SECTIONS + 1
    assert best(mia, "sauna")["text"] == "Room 7 is a sauna now."
    after = best(mia, "chairs in room 31")
    assert after["text"] == before["text"] == "Room 31 has 34 chairs."
    assert after["score"] == pytest.approx(before["score"], abs=0.05)
