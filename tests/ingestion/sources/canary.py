"""A canary of a source: who may read it in the source finds it here, and others learn nothing of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from cairn.accounts.models import User
from cairn.accounts.services import api_key_create
from cairn.library.models import Chunk, Document
from retrieval.engine import Engine, use
from retrieval.index.qdrant_edge import EdgeIndex
from retrieval.models import GenerationState, IndexGeneration
from tests.fakes import FakeChat, FakeEmbedder
from tests.web.api.conftest import Caller, indexed

QUESTION: Final = "What is the reserve code of zobrumitel?"
CODE: Final = "8204617359"
SENTENCE: Final = f"The reserve code of zobrumitel is {CODE}."


def require_canary(document: Document, *, reader: User, other: User) -> None:
    """Check that the reader finds, opens and cites a document through the REST API, and the other doesn't.

    The test's database must store what is written at once (`transaction=True`): answers come from threads.
    """
    with _make_findable(document):
        assert _list_uses(reader, document) == {"found", "listed", "opened", "read", "cited"}
        assert _list_uses(other, document) == set()


@contextmanager
def _make_findable(document: Document) -> Iterator[None]:
    """Index the canary's sentence as the document's text, with the readers that the document has now."""
    embedder = FakeEmbedder()
    generation = IndexGeneration.objects.create(
        name="canary",
        embedding_model=embedder.model,
        dimension=embedder.dimension,
        state=GenerationState.ACTIVE,
    )
    with TemporaryDirectory() as folder:
        index = EdgeIndex.create(Path(folder) / "shard", dimension=embedder.dimension)
        try:
            with use(Engine(embedder, index, FakeChat(f"{SENTENCE[:-1]} [1]."))) as engine:
                indexed(document, engine, SENTENCE)
                yield
        finally:
            index.close()
            Chunk.objects.filter(version__document=document).delete()
            generation.delete()


def _list_uses(user: User, document: Document) -> set[str]:
    """Return what the user can do with the document, or learns of it."""
    caller = Caller(user, api_key_create(user=user, label="canary")[1])
    identity = str(document.id)
    answers: dict[str, Any] = {
        "found": caller.post("/search", {"query": QUESTION}),
        "listed": caller.get("/documents?limit=200"),
        "opened": caller.get(f"/documents/{identity}"),
        "read": caller.get(f"/documents/{identity}/chunks"),
        "cited": caller.post("/ask", {"question": QUESTION}),
    }
    return {
        use
        for use, answer in answers.items()
        if answer.status_code == 200 and any(word in answer.content.decode() for word in (identity, CODE))
    }
