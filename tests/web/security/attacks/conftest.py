"""The `attack` fixture that every check reports to, and a world that is planted once per module."""

import logging
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.files.storage import InMemoryStorage
from django.db import transaction
from django.test import override_settings

from cairn.inference.protocols import Embedder
from retrieval.engine import Engine, use
from retrieval.index.qdrant_edge import EdgeIndex
from retrieval.models import GenerationState, IndexGeneration
from tests.fakes import FakeChat, FakeEmbedder
from tests.servers import Server, start_server, stop_server
from tests.web.security.attacks.recorder import Attack
from tests.web.security.world import World, world_made


@pytest.fixture(autouse=True)
def attack() -> Attack:
    return Attack()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fails a check that passed without reporting both halves. A test that failed or was skipped stays so."""
    result = yield
    item.funcargs["attack"].assert_conclusive()  # type: ignore[attr-defined]
    return result


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Hundreds of refusals are expected here and would drown the log of a failure."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@dataclass(frozen=True, slots=True)
class Planted:
    world: World
    engine: Engine


@pytest.fixture(scope="module")
def planted(django_db_setup: None, django_db_blocker: Any, index: EdgeIndex) -> Iterator[Planted]:
    """Lives in a transaction around the whole module; items run in savepoints within it."""
    storage = {"BACKEND": f"{InMemoryStorage.__module__}.InMemoryStorage"}
    embedder, chat = FakeEmbedder(), FakeChat("Employees get 25 days of leave a year [1].")
    with (
        django_db_blocker.unblock(),
        override_settings(STORAGES={**configured.STORAGES, "default": storage}),
        transaction.atomic(),
        use(Engine(embedder, index, chat)) as engine,
    ):
        _activate_generation(embedder)
        yield Planted(world_made(engine), engine)
        transaction.set_rollback(True)


def _activate_generation(embedder: Embedder) -> None:
    IndexGeneration.objects.create(
        name="test",
        embedding_model=embedder.model,
        dimension=embedder.dimension,
        state=GenerationState.ACTIVE,
    )


@pytest.fixture(autouse=True)
def files_in_memory(request: pytest.FixtureRequest, settings: Any) -> None:
    """The planted world brings a storage that lasts as long as it does; everything else gets a fresh one."""
    if "planted" not in request.fixturenames:
        settings.STORAGES = {
            **settings.STORAGES,
            "default": {"BACKEND": f"{InMemoryStorage.__module__}.InMemoryStorage"},
        }


@pytest.fixture
def world(planted: Planted, db: None) -> World:
    """Changes of an item are rolled back. `things` is its own copy."""
    return World(dict(planted.world.things), planted.world.tickets)


@pytest.fixture
def engine(planted: Planted) -> Engine:
    return planted.engine


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server process. Its peers are all on this machine, and it trusts them as proxies."""
    running = start_server(tmp_path_factory.mktemp("server") / "data", SAMPLE_KNOWLEDGE_BASE="false")
    yield running
    stop_server(running)
