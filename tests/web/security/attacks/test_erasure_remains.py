"""Erasing a document: neither it nor its words can be recovered from the data folder or the vector store.

The attacker has every byte of both. The same searches, made before the erasure, find every word.
"""

import gzip
import json
import secrets
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from cairn.library.models import KnowledgeBase
from ingestion.erasure import documents
from ingestion.models import Receipt
from ingestion.parse.sandbox.pool import ParserPool
from ingestion.reindexing import runner
from ingestion.reindexing.all_generations import AllGenerations
from retrieval.engine import Engine, use
from retrieval.index.generations import active_generation, active_index
from retrieval.index.qdrant_edge import EdgeIndex
from retrieval.index.word_hashes import apply_word_key
from retrieval.search.bm25 import document_sparse
from tests.backends import VectorStore
from tests.bases import make_base
from tests.fakes import FakeChat, FakeEmbedder
from tests.indexes import own_indexes
from tests.retrieval.index.points import DIMENSION, point
from tests.web.api.conftest import Caller, caller_for
from tests.web.security.attacks.recorder import Attack
from tests.web.working import files_on_disk, work_at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
Search = Callable[[Iterable[bytes]], bool]


class Canary:
    """A document whose distinctive words are random."""

    def __init__(self) -> None:
        mark = secrets.token_hex(4)
        self.words = [
            f"{syllable}{mark}{n}" for n, syllable in enumerate(("zorv", "quoll", "übel", "nystra"))
        ]
        self.source, self.tag = f"vault{mark}.md", f"label{mark}"
        self.text = " ".join(f"The {word} of the annual leave is 25 days." for word in self.words)

    @property
    def names(self) -> list[str]:
        return [*self.words, self.source, self.tag]


@dataclass(frozen=True, slots=True)
class Data:
    """Everything that is on disk: the data folder, the database, and the storage of a vector store."""

    folder: Path

    def contents(self) -> Iterator[bytes]:
        """Names and contents of files, and what can be unpacked from these."""
        for path in self._files():
            yield str(path).encode()
            raw = _without_holes(path)
            yield raw
            yield from _unpacked(path, raw)

    def _files(self) -> list[Path]:
        database = Path(str(connection.settings_dict["NAME"]))
        sides = [database.with_name(database.name + side) for side in ("", "-wal", "-journal")]
        return [path for path in (*self.folder.rglob("*"), *sides) if path.is_file()]


def _without_holes(path: Path) -> bytes:
    """Read a file without its holes, since an index has sparse files of 32 MB."""
    return path.read_bytes().replace(bytes(4096), bytes(1))


def _unpacked(path: Path, raw: bytes) -> Iterator[bytes]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    if raw.startswith(b"\x1f\x8b"):
        yield gzip.decompress(raw)


def forms(text: str) -> set[bytes]:
    """The ways in which a text may be written down, in lower and title case."""
    cases = {text, text.title(), text.upper()}
    encoded = {case.encode(coding) for case in cases for coding in ("utf-8", "utf-16-le", "utf-16-be")}
    return encoded | {json.dumps(case)[1:-1].encode() for case in cases}


def readable(data: Data, texts: Iterable[str]) -> set[str]:
    wanted = {text: forms(text) for text in texts}
    found = set[str]()
    for content in data.contents():
        found |= {text for text, ways in wanted.items() if any(way in content for way in ways)}
    return found


def recovered(folder: Path, words: Iterable[str], key: bytes = b"") -> set[str]:
    """A dictionary attack on hashes of words in the files of an index.

    A hash has 32 bits: big-endian in the log, and little-endian in segments.
    """
    content = [_without_holes(path) for path in folder.rglob("*") if path.is_file()]
    hashes = {word: apply_word_key(document_sparse(word), key).indices for word in words}
    return {
        word
        for word, indices in hashes.items()
        if indices and all(any(_has_number(raw, index) for raw in content) for index in indices)
    }


def _has_number(raw: bytes, number: int) -> bool:
    return number.to_bytes(4, "little") in raw or number.to_bytes(4, "big") in raw


@pytest.fixture(scope="module")
def pool() -> Iterator[ParserPool]:
    pool = ParserPool(size=1)
    yield pool
    pool.close()


@pytest.fixture
def mia(db: None) -> Caller:
    return caller_for("mia")


@pytest.fixture
def base(mia: Caller) -> KnowledgeBase:
    return make_base(name="Handbook", principal=mia.principal)


@pytest.fixture(params=["edge", "server"])
def index_folder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, db: None
) -> Iterator[Path]:
    """Return the folder of the vector store."""
    embedder, chat = FakeEmbedder(), FakeChat("The leave is 25 days [1].")
    store = VectorStore(tmp_path / "store") if request.param == "server" else None
    if store:
        store.start()
    url = store.url if store else None
    with (
        own_indexes(monkeypatch, tmp_path, embedder=embedder, url=url),
        use(Engine(embedder, active_index(), chat)),
    ):
        yield tmp_path / ("store" if store else "index")
    if store:
        store.close()


@pytest.fixture(autouse=True)
def worker(
    monkeypatch: pytest.MonkeyPatch, pool: ParserPool, index_folder: Path, tmp_path: Path, settings: Any
) -> None:
    def erase(receipt: str) -> None:
        documents.erase(UUID(receipt), AllGenerations(active_index()))

    files_on_disk(settings, tmp_path / "files")
    work_at_once(monkeypatch, pool, {"ingestion.erase": erase})


def _spread(mia: Caller, base: KnowledgeBase, canary: Canary) -> str:
    """Upload the canary twice and ask about it; return the document's id."""
    sent: dict[str, Any] = {
        "title": f"On {canary.words[0]}",
        "source_uri": canary.source,
        "metadata": json.dumps({"tags": [canary.tag]}),
    }
    other = "# Other\n\nNobody knows what the travel budget is."
    mia.upload(str(base.id), "other.md", other.encode())
    for edition in ("first", "second"):
        text = f"# {canary.words[1]}\n\n{canary.text} This is the {edition} edition.\n"
        answer = mia.upload(str(base.id), canary.source, text.encode(), **sent)
        assert answer.status_code == 202, answer.content
    document = str(answer.json()["document"]["id"])
    asked = mia.post("/ask", {"question": "How many days is the annual leave?"}).json()
    assert canary.words[0] in json.dumps(asked, ensure_ascii=False), asked
    return document


def _erased(mia: Caller, document: str) -> Receipt:
    receipt = mia.delete(f"/documents/{document}").json()["receipt"]
    assert mia.get(f"/receipts/{receipt['id']}").json()["state"] == "pending", (
        "the index was not rewritten yet"
    )
    runner.work_all()
    assert mia.get(f"/receipts/{receipt['id']}").json()["state"] == "done"
    return Receipt.objects.get(pk=receipt["id"])


def test_no_byte_of_an_erased_document_stays_on_disk(
    attack: Attack, mia: Caller, base: KnowledgeBase, index_folder: Path, tmp_path: Path
) -> None:
    canary, data = Canary(), Data(tmp_path)
    document = _spread(mia, base, canary)
    attack.allowed(
        readable(data, canary.names) == set(canary.names), "the search finds all while it is there"
    )
    in_index = readable(Data(index_folder), [canary.source, canary.tag])
    attack.allowed(in_index == {canary.source, canary.tag}, "also in the index")
    _erased(mia, document)
    attack.refused(readable(data, canary.names) == set(), readable(data, canary.names))
    hits = mia.post("/search", {"query": "travel budget"}).json()["results"]
    attack.allowed(bool(hits), "what was not erased is found as before")


def test_dictionary_attack_recovers_no_word_from_the_index(
    attack: Attack, mia: Caller, base: KnowledgeBase, index_folder: Path, tmp_path: Path
) -> None:
    canary = Canary()
    unkeyed = EdgeIndex.create(tmp_path / "unkeyed", dimension=DIMENSION)
    unkeyed.upsert([point(sparse=document_sparse(canary.text))])
    unkeyed.close()
    attack.allowed(
        recovered(tmp_path / "unkeyed", canary.words) == set(canary.words), "it works without a key"
    )
    document = _spread(mia, base, canary)
    key = bytes(active_generation().word_key)
    attack.allowed(recovered(index_folder, canary.words, key) == set(canary.words), "and with the key")
    attack.refused(recovered(index_folder, canary.words) == set(), "without the key, before the erasure")
    _erased(mia, document)
    attack.refused(
        recovered(index_folder, canary.words, key) == set(), "even with the key, after the erasure"
    )
    attack.refused(recovered(index_folder, canary.words) == set())
