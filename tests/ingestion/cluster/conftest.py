"""A web process, workers and beat as processes of their own, on PostgreSQL, a broker and a vector store."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingestion.failpoints import Fault
from tests.backends import Broker, Postgres, RabbitMQ, Valkey, VectorStore
from tests.cairn.inference.server import FakeServer
from tests.installs import ChunkSet, ClusterInstall, Helper, Install, ended, texts
from tests.kill_points import NEW, REWRITING
from tests.models import model_settings

BROKERS: dict[str, Callable[[], Broker]] = {
    "rabbitmq": lambda: RabbitMQ(persistent=True),
    "valkey": lambda: Valkey(persistent=True),
}


TRIED_HERE = {Fault.AFTER_UPSERT, REWRITING[0]}
"""When passages are on a server; embedded installations are killed everywhere."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out kills that show nothing new: a worker does what an embedded one does."""
    repeated = [item for item in items if _is_repeated(item)]
    config.hook.pytest_deselected(items=repeated)
    items[:] = [item for item in items if item not in repeated]


def _is_repeated(item: pytest.Item) -> bool:
    values = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return "cluster" in values and values.get("fault", REWRITING[0]) not in TRIED_HERE


class Cluster:
    """`install` is the web process. One worker continues from test to test, unless one needs none."""

    def __init__(self, install: ClusterInstall, broker: Broker, store: VectorStore) -> None:
        self.install = install
        self.broker = broker
        self.store = store
        self._worker: Helper | None = None

    def working(self) -> Helper:
        if self._worker is None or self._worker.process.poll() is not None:
            self._worker = self.install.worker().wait_ready()
        return self._worker

    def idle(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            assert worker.stop() == 0

    def close(self) -> None:
        if self._worker is not None:
            self._worker.kill()


@pytest.fixture(scope="package")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="package")
def store() -> Iterator[VectorStore]:
    server = VectorStore()
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="package", params=["valkey"])
def cluster(
    request: pytest.FixtureRequest,
    models: FakeServer,
    postgres: Postgres,
    store: VectorStore,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp(request.param)  # numbered, since a cluster may be set up again
    with started(BROKERS[request.param]()) as broker:
        install = ClusterInstall(
            folder / "data",
            DATABASE_URL=postgres.database(folder.name),
            CELERY_BROKER_URL=broker.url,
            QDRANT_URL=store.url,
            JOB_MAX_ATTEMPTS="40",
            **model_settings(models),
        )
        with ended(install.start()), install.beat() as beat:
            made = Cluster(install, broker, store)
            beat.wait_ready()
            yield made
            made.close()


@contextmanager
def started(broker: Broker) -> Iterator[Broker]:
    broker.start()
    try:
        yield broker
    finally:
        broker.close()


@pytest.fixture(scope="package")
def undisturbed_chunks(models: FakeServer, tmp_path_factory: pytest.TempPathFactory) -> ChunkSet:
    """The chunks that an embedded install makes of the files without faults."""
    data_dir: Path = tmp_path_factory.mktemp("undisturbed") / "data"
    with ended(Install(data_dir, **model_settings(models))) as install:
        install.start()
        install.upload_all(NEW)
        install.wait_settled()
        install.stop()
        return install.chunk_set()


@pytest.fixture
def expected(undisturbed_chunks: ChunkSet) -> Callable[[int], ChunkSet]:
    """Return the expected chunks of the first `count` files."""

    def first(count: int) -> ChunkSet:
        names = set(texts(count, edition=2))
        return {chunk for chunk in undisturbed_chunks if chunk[0] in names}

    return first
