"""People with keys, and things they may or may not see."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from types import SimpleNamespace
from typing import Any
from uuid import uuid5

import pytest
from asgiref.sync import async_to_sync
from django.core.files.storage import InMemoryStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.access.services import grant_give, reader_tokens
from cairn.accounts.models import User
from cairn.accounts.services import api_key_create, user_create
from cairn.inference import registry
from cairn.inference.protocols import Vectors
from cairn.library.models import Chunk, Document, KnowledgeBase, VersionState
from cairn.limits import rate_limits
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from retrieval.engine import Engine, use
from retrieval.index.protocol import Point
from retrieval.index.qdrant_edge import EdgeIndex
from retrieval.models import GenerationState, IndexGeneration
from retrieval.search.bm25 import document_sparse
from tests.bases import make_base
from tests.fakes import FakeChat, FakeEmbedder
from tests.principals import SETUP
from tests.web.working import pool  # noqa: F401 - a fixture

Response = Any


@dataclass
class Caller:
    """The REST API, called with a key."""

    user: User
    key: str
    client: Client = field(default_factory=Client)

    @property
    def principal(self) -> Principal:
        return principal_for_user(self.user)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Response:
        data = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        headers = {"Authorization": f"Bearer {self.key}", **headers}
        return self.client.generic(method, f"/api/v1{path}", headers=headers, **data)

    def get(self, path: str, **headers: str) -> Response:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Response:
        return self.send("POST", path, body, **headers)

    def put(self, path: str, body: Any) -> Response:
        return self.send("PUT", path, body)

    def patch(self, path: str, body: Any, **headers: str) -> Response:
        return self.send("PATCH", path, body, **headers)

    def delete(self, path: str) -> Response:
        return self.send("DELETE", path)

    def upload(
        self, base: str, name: str, content: bytes, headers: dict[str, str] | None = None, **form: Any
    ) -> Response:
        return self.client.post(
            f"/api/v1/knowledge-bases/{base}/documents",
            {"file": SimpleUploadedFile(name, content), **form},
            headers={"Authorization": f"Bearer {self.key}", **(headers or {})},
        )


def caller_for(username: str, *, is_admin: bool = False, scopes: Sequence[str] | None = None) -> Caller:
    user = user_create(username=username, is_admin=is_admin)
    _, key = api_key_create(user=user, label="test", scopes=scopes)
    return Caller(user, key)


@pytest.fixture(autouse=True)
def files_in_memory(settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": f"{InMemoryStorage.__module__}.InMemoryStorage"},
    }


@pytest.fixture
def admin(db: None) -> Caller:
    return caller_for("ada", is_admin=True)


@pytest.fixture
def mia(db: None) -> Caller:
    """Manages the knowledge base `base`."""
    return caller_for("mia")


@pytest.fixture
def rob(db: None) -> Caller:
    """A user without any grant."""
    return caller_for("rob")


@pytest.fixture
def base(mia: Caller) -> KnowledgeBase:
    return make_base(name="Handbook", principal=mia.principal)


@pytest.fixture
def grant(base: KnowledgeBase) -> Callable[[Caller, Role], None]:
    def give(caller: Caller, role: Role) -> None:
        grant_give(knowledge_base=base, subject=f"user:{caller.user.id}", role=role, principal=SETUP)

    return give


@pytest.fixture
def one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No minute ends in the midst of a test."""
    moment = timezone.now()
    monkeypatch.setattr(rate_limits, "timezone", SimpleNamespace(now=lambda: moment))


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeIndex]:
    """A real one, for all tests: what others left in it is outside of anyone's scope."""
    index = EdgeIndex.create(tmp_path_factory.mktemp("index") / "shard", dimension=FakeEmbedder().dimension)
    yield index
    index.close()


@pytest.fixture
def parts(db: None, index: EdgeIndex) -> Iterator[Engine]:
    """A real index; an embedder and a chat model that are predictable."""
    embedder, chat = FakeEmbedder(), FakeChat("Employees get 25 days of leave a year [1].")
    IndexGeneration.objects.create(
        name="test",
        embedding_model=embedder.model,
        dimension=embedder.dimension,
        state=GenerationState.ACTIVE,
    )
    with use(Engine(embedder, index, chat)) as parts:
        yield parts


@pytest.fixture
def own_models() -> Iterator[None]:
    """Whatever this process has loaded is there again afterwards."""
    before = registry._chat, registry._inside_chat
    registry._chat = registry._ChatSlots()
    registry._inside_chat = registry._ChatSlots(registry._inside_settings)
    yield
    registry.close()
    registry._chat, registry._inside_chat = before


def indexed(document: Document, parts: Engine, *texts: str) -> list[Chunk]:
    """The texts as the document's chunks, findable, as a worker leaves them."""
    version = document.latest_version
    assert version is not None
    chunks = [
        Chunk(
            id=uuid5(version.id, str(n)), version=version, ordinal=n, text=text, context=document.title,
            section=["Leave"], page=None, elements=[n], tokens=9, sha256=sha256(text.encode()).hexdigest(),
        )
        for n, text in enumerate(texts)
    ]  # fmt: skip
    Chunk.objects.bulk_create(chunks)
    vectors = parts.embedder.embed_documents(texts)
    parts.index.upsert(
        [_point(document, chunk, vector) for chunk, vector in zip(chunks, vectors, strict=True)]
    )
    version.state, version.chunk_count = VersionState.READY, len(chunks)
    version.save()
    document.active_version = version
    document.save()
    return chunks


@pytest.fixture
def leave(document: Document, parts: Engine) -> Document:
    """A document about leave and bicycles, which can be found."""
    indexed(
        document, parts, "Employees get 25 days of leave a year.", "Bicycles are parked behind the house."
    )
    return document


def _point(document: Document, chunk: Chunk, vector: Vectors) -> Point:
    return Point(
        id=chunk.id,
        dense=vector,
        sparse=document_sparse(chunk.text),
        knowledge_base=document.knowledge_base_id,
        document=document.id,
        version=chunk.version_id,
        readers=reader_tokens(document),
        source_uri=document.source_uri,
        tags=tuple(document.tags.values_list("name", flat=True)),
        created_at=document.created_at.timestamp(),
    )


@pytest.fixture
def document(base: KnowledgeBase, mia: Caller) -> Document:
    file = SimpleUploadedFile("leave.md", b"# Leave\n\n25 days a year.")
    return document_submit(Upload(file, "leave.md"), knowledge_base=base, principal=mia.principal).document


def streamed(response: Response, *, until: bytes | None = None) -> bytes:
    """The whole body of a streaming response, or as much as ends with `until`."""

    async def collect(parts: AsyncIterator[bytes]) -> bytes:
        body = b""
        async for part in parts:
            body += part
            if until is not None and body.endswith(until):
                break
        return body

    return async_to_sync(collect)(response.streaming_content)


def events(body: bytes) -> list[tuple[str, Any]]:
    """Server-sent events as (name, data), comments left out."""
    found = []
    for block in body.decode().split("\n\n"):
        lines = [line.partition(": ")[::2] for line in block.splitlines() if not line.startswith(":")]
        fields = dict(lines)
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def assert_problem(response: Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["code"] == code
    assert {"type", "title", "detail"} <= body.keys()
    return body
