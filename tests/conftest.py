"""What every test may use. No test talks to anything but this machine."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pytest_socket import socket_allow_hosts

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.access.services import grant_give, knowledge_base_create
from cairn.accounts.models import User
from cairn.accounts.services import user_create
from cairn.library.models import KnowledgeBase
from retrieval.engine import Engine, use
from retrieval.index.edge import EdgeIndex
from tests.environment import DATA_DIR, clean_environment
from tests.fakes import FakeChat, FakeEmbedder

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "a long enough passphrase"


def pytest_runtest_setup() -> None:
    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """A file: threads cannot share an SQLite database that lives in memory without meeting its locks."""
    from django.conf import settings

    settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = f"{DATA_DIR}/tests.sqlite3"


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    def make(username: str, *, is_admin: bool = False, **fields: Any) -> User:
        return user_create(username=username, password=PASSWORD, is_admin=is_admin, **fields)

    return make


@pytest.fixture
def make_knowledge_base(db: None) -> Callable[..., KnowledgeBase]:
    """`readers` are subjects, such as "everyone"; the principal manages it."""

    def make(name: str, principal: Principal, *, readers: tuple[str, ...] = ()) -> KnowledgeBase:
        base = knowledge_base_create(name=name, principal=principal)
        for subject in readers:
            grant_give(knowledge_base=base, subject=subject, role=Role.READER, actor=principal.user)
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


@dataclass(frozen=True, slots=True)
class Server:
    """Cairn as people run it, with the real index and models, in a data folder of its own."""

    url: str
    data_dir: Path
    process: "subprocess.Popen[str]"
    username: str = "admin"

    @property
    def password(self) -> str:
        return (self.data_dir / "admin_password").read_text(encoding="ascii")

    def environment(self) -> dict[str, str]:
        return server_environment(self.data_dir)

    def manage(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """A command on the same data folder."""
        return run_manage(self.data_dir, *arguments)


def server_environment(data_dir: Path) -> dict[str, str]:
    environment = clean_environment(str(data_dir))
    environment["PYTHONPATH"] = str(ROOT / "tests" / "offline")
    return environment


def run_manage(data_dir: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env=server_environment(data_dir),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def start_server(data_dir: Path, *arguments: str) -> Server:
    """Returns at the ready line."""
    log = data_dir / "server.log"
    data_dir.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "up", "--port", "0", "--json", *arguments],
            env=server_environment(data_dir),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "ready":
            return Server(event["url"], data_dir, process)
    pytest.fail(f"The server ended before it was ready:\n{log.read_text(encoding='utf-8')}")


def stop_server(server: Server) -> int:
    """Its exit code."""
    server.process.send_signal(signal.SIGTERM)
    try:
        return server.process.wait(20)
    finally:
        server.process.kill()
        server.process.communicate()


@pytest.fixture(scope="session")
def cairn_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_server(tmp_path_factory.mktemp("cairn"))
    yield server
    stop_server(server)
