import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference import registry
from cairn.settings import environment
from retrieval.index import backends, qdrant_server_backend
from retrieval.index.generations import active_generation, active_index, close_index
from retrieval.index.protocol import VectorStore
from retrieval.index.qdrant_edge import EdgeIndex
from retrieval.models import GenerationState, IndexGeneration
from tests.fakes import FakeEmbedder
from tests.retrieval.index.points import found, point


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    own = environment().model_copy(update={"data_dir": tmp_path})
    monkeypatch.setattr(backends, "environment", lambda: own)
    close_index()
    with registry.use(embedder=FakeEmbedder(model="words-1", dimension=8)):
        yield tmp_path
    close_index()


@pytest.mark.django_db
def test_first_use_creates_a_generation(data_dir: Path) -> None:
    index = active_index()
    generation = active_generation()
    assert (generation.embedding_model, generation.dimension) == ("words-1", 8)
    assert generation.state == GenerationState.ACTIVE
    assert isinstance(index.store(generation.name), EdgeIndex)
    assert [path.name for path in (data_dir / "index").iterdir()] == [generation.name]
    assert active_index() is index


@pytest.mark.django_db
def test_later_uses_open_the_same_generation() -> None:
    active_index().upsert([mine := point()])
    generation = active_generation()
    close_index()
    close_index()
    assert found(active_index()) == {mine.id}
    assert active_generation() == generation
    assert IndexGeneration.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("other", [("words-2", 8), ("words-1", 16)])
def test_other_embedder_is_a_configuration_error(other: tuple[str, int]) -> None:
    active_index()
    close_index()
    model, dimension = other
    changed = FakeEmbedder(model=model, dimension=dimension)
    with registry.use(embedder=changed), pytest.raises(ConfigurationError, match="as it was"):
        active_index()


@pytest.mark.django_db
def test_lost_index_is_not_recreated_empty(data_dir: Path) -> None:
    active_index()
    close_index()
    shutil.rmtree(data_dir / "index")
    for _ in range(2):
        with pytest.raises(Unavailable):
            active_index()


@pytest.mark.django_db
def test_failed_creation_of_an_index_leaves_no_generation(data_dir: Path) -> None:
    (data_dir / "index").write_text("a file where the folder should be")
    with pytest.raises((OSError, Unavailable)):
        active_index()
    assert not IndexGeneration.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_threads_share_one_index() -> None:
    got: list[object] = []
    threads = [threading.Thread(target=lambda: got.append(active_index())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 4
    assert len(set(map(id, got))) == 1
    assert IndexGeneration.objects.count() == 1


class OtherStore(backends.EdgeBackend):
    """A vector store from outside; `opened` lists the indexes that it created."""

    opened: list[str] = []

    def create(self, place: str, dimension: int) -> VectorStore:
        self.opened.append(place)
        return super().create(place, dimension)


@pytest.mark.django_db
def test_index_is_opened_by_a_back_end_at_a_dotted_path(monkeypatch: pytest.MonkeyPatch) -> None:
    own = backends.environment().model_copy(
        update={"vector_index": f"{__name__}.OtherStore", "qdrant_url": "http://127.0.0.1:9"}
    )
    monkeypatch.setattr(backends, "environment", lambda: own)
    active_index().upsert([point()])
    assert OtherStore.opened == [active_generation().name]


@pytest.mark.parametrize(
    "name", ["elsewhere.Store", "qdrant", "retrieval.index.backends.IndexBackend", "uuid.uuid4"]
)
def test_unknown_back_end_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    own = backends.environment().model_copy(update={"vector_index": name})
    monkeypatch.setattr(backends, "environment", lambda: own)
    with pytest.raises(ConfigurationError, match="VECTOR_INDEX"):
        backends.index_backend()


def test_qdrant_url_selects_the_server_back_end(monkeypatch: pytest.MonkeyPatch) -> None:
    reached = environment().model_copy(update={"qdrant_url": "http://127.0.0.1:9"})
    for module in (backends, qdrant_server_backend):
        monkeypatch.setattr(module, "environment", lambda: reached)
    with pytest.raises(Unavailable, match="isn't responding"):
        backends.index_backend().open("first", 8)
    with pytest.raises(Unavailable, match="isn't responding"):
        backends.index_backend().create("first", 8)
