"""An index as installs have it, with fake models, for tests of its generations."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cairn.access.models import Role
from cairn.access.services import grant_give
from cairn.errors import ConfigurationError
from cairn.inference import registry
from cairn.inference.protocols import Vectors
from cairn.inference.registry import EmbedderChoice
from cairn.library.models import Document, KnowledgeBase
from cairn.settings import environment
from ingestion.models import Job, Receipt
from ingestion.pipeline import run
from ingestion.reindexing import runner
from ingestion.tasks import erase, refresh
from retrieval.index import backends
from retrieval.index.generations import active, close_index, open_generation
from retrieval.index.protocol import VectorIndex
from retrieval.models import GenerationState, IndexGeneration
from tests.fakes import FakeChat, FakeEmbedder
from tests.ingestion.parts import FakeParsers
from tests.principals import SETUP
from tests.web.api.conftest import Caller

OTHER, THIRD = "another-model", "a-third-model"


class WatchedEmbedder(FakeEmbedder):
    """An embedder. `before` runs before each batch of documents."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.before: Callable[[], None] = lambda: None
        self.texts: list[str] = []

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        before, self.before = self.before, lambda: None
        before()
        vectors = super().embed_documents(texts)
        self.texts += texts
        return vectors


class Generations:
    """`present` embeds what is there at first; `other` and `third` are the models with these names."""

    def __init__(self, admin: Caller, base: KnowledgeBase, data_dir: Path, parsers: FakeParsers) -> None:
        self.admin, self.base, self.data_dir, self.parsers = admin, base, data_dir, parsers
        self.present = WatchedEmbedder(model="present-1")
        self.other = WatchedEmbedder(model="other-1", dimension=64)
        self.third = WatchedEmbedder(model="third-1", dimension=32)

    def add(self, name: str, *lines: str) -> Document:
        answer = self.admin.upload(
            str(self.base.id), name, "\n\n".join(lines or (f"About {name}.",)).encode()
        )
        assert answer.status_code == 202, answer.content
        self.work()
        return Document.objects.get(pk=answer.json()["document"]["id"])

    def work(self) -> None:
        for job in Job.objects.queued():
            run.run(job.id)

    def delete(self, document: Document) -> Receipt:
        answer = self.admin.delete(f"/documents/{document.id}")
        receipt = answer.json()["receipt"]["id"]
        erase.apply(args=[receipt], throw=True)
        return Receipt.objects.get(pk=receipt)

    def change(self, document: Document, **changes: Any) -> None:
        assert self.admin.patch(f"/documents/{document.id}", changes).status_code == 200
        refresh(str(document.id))

    def reindex(self, model: str | None = OTHER) -> IndexGeneration:
        """Rebuild the index as far as possible."""
        answer = self.admin.post("/index/generations", {"embedding_model": model} if model else {})
        assert answer.status_code == 202, answer.content
        runner.work_all()
        return IndexGeneration.objects.get(pk=answer.json()["id"])

    def swap(self, *, force: bool = False) -> None:
        assert self.admin.post("/index/swap", {"force": force}).status_code == 202
        runner.work_all()

    def rollback(self) -> None:
        assert self.admin.post("/index/rollback", {}).status_code == 202
        runner.work_all()

    def grant(self, caller: Caller, role: Role) -> None:
        grant_give(knowledge_base=self.base, subject=f"user:{caller.user.id}", role=role, principal=SETUP)

    def found(self, query: str) -> list[str]:
        return self.found_by(self.admin, query)

    def found_by(self, caller: Caller, query: str, **filters: Any) -> list[str]:
        answer = caller.post("/search", {"query": query, "top_k": 50, "filters": filters})
        assert answer.status_code == 200, answer.content
        return [hit["source_uri"] for hit in answer.json()["results"]]

    def states(self) -> list[str]:
        return [row["state"] for row in self.admin.get("/index").json()["generations"]]

    def assert_index_is_what_sql_says(self) -> None:
        index = active().index
        ready = Document.objects.present().ready().select_related("active_version")
        chunks = {document.id: document.active_version.chunk_count for document in ready}  # type: ignore[union-attr]
        assert {document: index.count(document=document) for document in chunks} == chunks
        assert index.count() == sum(chunks.values())

    def index_of(self, state: GenerationState) -> VectorIndex:
        return open_generation(IndexGeneration.objects.get(state=state)).index


@contextmanager
def generations(
    admin: Caller, base: KnowledgeBase, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Generations]:
    parsers = FakeParsers()
    made = Generations(admin, base, data_dir, parsers)
    own = environment().model_copy(update={"data_dir": data_dir})
    monkeypatch.setattr(backends, "environment", lambda: own)
    monkeypatch.setattr("ingestion.parse.parser_pool._pool", parsers)
    monkeypatch.setattr("ingestion.reindexing.services.EncoderFolder.of", _known)
    opened = {OTHER: made.other, THIRD: made.third}
    monkeypatch.setattr(registry, "open_embedder", lambda chosen: opened[chosen.embedding_model])
    close_index()
    with registry.use(embedder=made.present, chat=FakeChat()):
        yield made
    for name in (OTHER, THIRD):
        registry.forget_embedder(EmbedderChoice(name, served=False))
    close_index()


def _known(model: str) -> object:
    """Models of tests have no files."""
    if model not in {OTHER, THIRD}:
        raise ConfigurationError(f"There is no model {model}.")
    return None
