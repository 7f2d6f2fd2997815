"""Files with encoded data, over HTTP and really read: what is searchable of them, and what is reported."""

import random
from base64 import encodebytes
from pathlib import Path
from textwrap import wrap
from typing import Any

import pytest

from cairn.library.models import KnowledgeBase
from ingestion.parse.sandbox.pool import ParserPool
from retrieval.engine import Engine
from tests.web.api.conftest import Caller
from tests.web.pages.conftest import text_of
from tests.web.working import files_on_disk, work_at_once

pytestmark = pytest.mark.django_db(transaction=True)
PICTURE = random.Random(5).randbytes(60_000)
SENTENCE = "Employees get 25 days of leave a year."


@pytest.fixture(autouse=True)
def working(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: ParserPool, parts: Engine
) -> None:
    files_on_disk(settings, tmp_path)
    work_at_once(monkeypatch, pool, {})


def uploaded(caller: Caller, base: KnowledgeBase, name: str, content: str) -> dict[str, Any]:
    sent = caller.upload(str(base.id), name, content.encode())
    document: dict[str, Any] = caller.get(f"/documents/{sent.json()['document']['id']}").json()
    return document


@pytest.mark.slow
def test_encoded_image_is_skipped_with_a_warning(mia: Caller, base: KnowledgeBase) -> None:
    lines = "\n".join(wrap(PICTURE.hex(), 76))
    document = uploaded(mia, base, "logo.eps", f"%!PS-Adobe-3.0 EPSF-3.0\n%%Title: logo\n{lines}\n%%EOF\n")
    assert (document["status"], document["chunks"]) == ("ready", 1)
    [warning] = document["report"]["warnings"]
    assert warning.endswith("were skipped, as they aren’t readable text.")


def test_text_next_to_an_encoded_image_is_found(mia: Caller, base: KnowledgeBase) -> None:
    content = f"{SENTENCE}\n\n{encodebytes(PICTURE).decode()}\n\nBicycles are parked behind the house.\n"
    document = uploaded(mia, base, "note.txt", content)
    assert (document["status"], document["chunks"]) == ("ready", 1)
    assert document["report"]["warnings"] == [
        "81,052 characters of encoded data or minified code were skipped, as they aren’t readable text."
    ]
    [hit] = mia.post("/search", {"query": "bicycles behind the house"}).json()["results"]
    assert SENTENCE in hit["text"]
    mia.client.force_login(mia.user)
    page = mia.client.get(f"/library/documents/{document['id']}", headers={"Accept-Language": "de"})
    assert "81.052 Zeichen kodierte Daten oder minimierter Code wurden übersprungen" in text_of(page)


def test_file_of_only_encoded_data_has_an_error(mia: Caller, base: KnowledgeBase) -> None:
    document = uploaded(mia, base, "picture.txt", encodebytes(PICTURE).decode())
    assert document["status"] == "failed"
    assert document["error"] == {
        "code": "no_text",
        "message": "The file contains no readable text, only encoded data or minified code. "
        "Upload a readable version.",
    }
    assert mia.post("/search", {"query": "picture"}).json()["results"] == []
