"""Fixtures for every test. No test connects to another machine."""

import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from socketserver import StreamRequestHandler
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth.management import create_permissions
from django.contrib.contenttypes.management import create_contenttypes
from django.db.models.signals import post_migrate
from django.utils import translation
from pytest_socket import socket_allow_hosts

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.access.services import grant_give
from cairn.accounts.models import User
from cairn.accounts.services import user_create
from cairn.library.models import KnowledgeBase
from cairn.settings.stored import store
from retrieval.engine import Engine, use
from retrieval.index.qdrant_edge import EdgeIndex
from tests.backends import VectorStore
from tests.bases import make_base
from tests.environment import DATA_DIR, GIVEN
from tests.fakes import FakeChat, FakeEmbedder
from tests.principals import SETUP
from tests.secrets_in_logs import Listener, leaks_of_servers
from tests.servers import Server, start_server, stop_server
from tests.shared_models import share_models
from tests.shared_static import share_static_files
from tests.shared_tables import copy_tables
from web.processes import garbage_collection

PASSWORD = "a long enough passphrase"
LONG = ("slow", "models", "browser", "faults", "acceptance")
"""Marks of tests that `make test` leaves out."""


LISTENER = Listener()


def pytest_configure() -> None:
    gc.disable()  # collecting thousands of tests makes no garbage, and looking for it takes seconds
    LISTENER.note_sessions()
    # A busy machine must not fail a property: by default, an example may take 200 ms.
    too_slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=too_slow)
    hypothesis.settings.load_profile("untimed")
    # Hashing that is slow on purpose would be most of what many tests do. Servers that they start do it.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # An event loop of the test before can still ask for the settings. It would start a thread that asks the
    # database, which pytest-django blocks between tests, and the error would fail the next test.
    store._current = store.Snapshot(read_at=float("inf"))
    share_static_files()
    # Answers of servers in this process come in pieces: each would wait 40 ms for word of the one before.
    StreamRequestHandler.disable_nagle_algorithm = True


def pytest_collection_finish() -> None:
    """Freeze the objects of the libraries, as a server does, so that full collections skip them."""
    garbage_collection.loading_ended()


def pytest_runtest_setup() -> None:
    socket_allow_hosts(["127.0.0.0/8", "::1", "localhost"], allow_unix_socket=True)
    LISTENER.secrets.update({settings.SECRET_KEY, PASSWORD})
    LISTENER.listen()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail if a log contains a secret: in this process, or of a server that a test started."""
    folder = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined] # no public way
    leaks = sorted({*LISTENER.leaks, *leaks_of_servers(folder)})
    if hasattr(session.config, "workeroutput"):  # the process that started this one reports them
        session.config.workeroutput["leaks"] = leaks
    elif leaks:
        sys.stderr.write("".join(f"\nSECRET LOGGED: {leak}" for leak in leaks) + "\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    LISTENER.leaks.extend(getattr(node, "workeroutput", {}).get("leaks", ()))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help=f"without the tests marked {', '.join(LONG)}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where DATABASE_URL names a database, only what touches it runs.

    A browser test that fails runs once more, and the summary names it: a browser and two servers share
    the processor, so that an event may come later than the page waits for it. So does a test with faults:
    what a killed process leaves behind depends on how far others have come.
    """
    for item in items:
        if item.get_closest_marker("browser") or item.get_closest_marker("faults"):
            item.add_marker(pytest.mark.flaky(reruns=1))
    if config.getoption("quick"):
        for item in items:
            if any(item.get_closest_marker(mark) for mark in LONG):
                item.add_marker(pytest.mark.skip(reason="takes minutes: run make test-all"))
    if GIVEN["DATABASE_URL"]:
        config.hook.pytest_deselected(items=[item for item in items if not _touches_database(item)])
        items[:] = [item for item in items if _touches_database(item)]


def _touches_database(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    return "db" in fixtures or item.get_closest_marker("django_db") is not None


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """A file: threads cannot share an SQLite database that lives in memory without meeting its locks."""
    if _on_sqlite():
        file = Path(DATA_DIR, "tests.sqlite3")
        settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = str(file)
        copy_tables(file)


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_keepdb: bool) -> bool:
    """The file that is there has its tables, and goes with its folder."""
    return django_db_keepdb or _on_sqlite()


def _on_sqlite() -> bool:
    return str(settings.DATABASES["default"]["ENGINE"]).endswith("sqlite3")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Tests that commit empty all tables afterwards, which SQLite does with DELETE: it has to be let.

    Django would then write its kinds of content and permissions again, which nobody reads and which takes
    thirty times as long as the emptying.
    """
    post_migrate.disconnect(dispatch_uid=f"{create_permissions.__module__}.{create_permissions.__name__}")
    post_migrate.disconnect(create_contenttypes)
    with django_db_blocker.unblock():
        from django.db import connection

        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute("DROP TRIGGER IF EXISTS audit_event_kept")


@pytest.fixture(autouse=True)
def nothing_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test is charged with looking for stored settings before it stores some."""
    monkeypatch.setattr(store, "_current", store.Snapshot(read_at=float("inf")))


@pytest.fixture(autouse=True)
def default_language() -> None:
    """No test meets the language that a request of an earlier one has left active in this thread."""
    translation.deactivate()


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A folder that is removed if the test passes. Logs of servers in it are searched for secrets first."""
    yield tmp_path
    LISTENER.leaks.extend(leaks_of_servers(tmp_path))


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    def make(username: str, *, is_admin: bool = False, **fields: Any) -> User:
        return user_create(username=username, password=PASSWORD, is_admin=is_admin, **fields)

    return make


@pytest.fixture
def make_knowledge_base(db: None) -> Callable[..., KnowledgeBase]:
    """`readers` are subjects, such as "everyone"; the principal manages it."""

    def make(name: str, principal: Principal, *, readers: tuple[str, ...] = ()) -> KnowledgeBase:
        base = make_base(name=name, principal=principal)
        for subject in readers:
            grant_give(knowledge_base=base, subject=subject, role=Role.READER, principal=SETUP)
        return base

    return make


@pytest.fixture
def principal_of() -> Callable[[User], Principal]:
    return principal_for_user


@pytest.fixture
def engine_override(tmp_path: Path) -> Iterator[Engine]:
    """Fake models and a real, empty index, in every thread. Its parts are the test's to script."""
    embedder = FakeEmbedder()
    index = EdgeIndex.create(tmp_path / "index", dimension=embedder.dimension)
    with use(Engine(embedder, index, FakeChat())) as parts:
        yield parts
    index.close()


@pytest.fixture(scope="session")
def qdrant_url() -> Iterator[str]:
    """A real Qdrant server where QDRANT_URL names one."""
    if given := GIVEN["QDRANT_URL"]:
        yield given
        return
    store = VectorStore()
    store.start()
    yield store.url
    store.close()


@pytest.fixture(scope="session")
def cairn_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server.

    Gaps are examined every other second, and `cairn-help` contains three pages of the help.
    """
    data_dir = tmp_path_factory.mktemp("cairn")
    server = start_server(data_dir, SWEEP_SECONDS="2", SAMPLE_KNOWLEDGE_BASE="false")
    pages = [f"docs/use/{page}.md" for page in ("asking", "conversations", "uploading")]
    ingested = server.manage("ingest", *pages, "--kb", "cairn-help", "--wait")
    assert ingested.returncode == 0, ingested.stderr
    yield server
    stop_server(server)


@pytest.fixture
def own_data_dir(tmp_path: Path) -> Path:
    """A data folder in which nothing ran yet, but models need not be converted again."""
    share_models(tmp_path)
    return tmp_path
