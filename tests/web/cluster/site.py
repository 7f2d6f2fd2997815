"""Two web processes behind a balancer, a worker and beat, on PostgreSQL, Valkey and a vector store."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx

from tests.backends import Postgres, Valkey, VectorStore, free_port
from tests.balancer import Balancer
from tests.bench.served_model import answer_to
from tests.cairn.inference.server import Exchange, FakeServer
from tests.installs import ClusterInstall, Helper, until
from tests.models import model_settings, respond_plainly
from tests.servers import Server, run_manage
from web.cli.api_client import parse_events

QUESTION: Final = "How many days of annual leave do employees have?"
LEAVE: Final = """# Annual leave

Employees have twenty-eight days of annual leave in each calendar year. Annual leave is requested from the
line manager two weeks ahead. Employees carry five days of annual leave over into the next calendar year.
Unused days of annual leave are paid out to employees who leave the company.
"""
SECRET: Final = "a secret of these tests, longer than needed"
PAUSE, SLOW = 0.01, 0.08
"""Between two words. While it is held it is slow: what is told lies further apart than what is kept."""


class Writing:
    """A model that repeats sentences of the passages.

    Unless `going_on` is set, it is slow and stops before the last one.
    """

    def __init__(self) -> None:
        self.going_on = threading.Event()
        self.going_on.set()
        self.asked = 0

    def respond(self, exchange: Exchange) -> None:
        if exchange.path.endswith("/embeddings"):
            respond_plainly(exchange)
            return
        self.asked += 1
        with suppress(ConnectionError):  # the client is gone, or was killed
            self._write(exchange)

    def _write(self, exchange: Exchange) -> None:
        words = answer_to(str(exchange.body["messages"][-1]["content"])).split(" ")
        exchange.start_stream()
        for place, word in enumerate(words):
            time.sleep(PAUSE if self.going_on.is_set() else SLOW)
            exchange.delta(f"{word} ")
            if place == len(words) * 3 // 4:
                self.going_on.wait(60)
        exchange.done()


class Site:
    """`install` is reached through the balancer."""

    def __init__(
        self, install: ClusterInstall, postgres: Postgres, broker: Valkey, store: VectorStore
    ) -> None:
        self.install, self.postgres, self.broker, self.store = install, postgres, broker, store
        self.ports = [free_port(), free_port()]
        self.webs: dict[int, Helper] = {}
        self.beat: Helper | None = None
        self.balancer = Balancer([f"127.0.0.1:{port}" for port in self.ports])

    def web(self, port: int, **settings: str) -> Helper:
        """Start a web process in place of the previous one on the port."""
        given = {**self.install.settings, **settings}
        if port in self.webs:
            self.webs[port].kill()  # it has ended: its remains are closed
        self.webs[port] = Helper(self.install.data_dir, "web", "--port", str(port), **given)
        return self.webs[port]

    def wait_balanced(self) -> None:
        until(lambda: len(self.balancer.ready) == len(self.ports), what="for the web processes")

    def at(self, port: int) -> httpx.Client:
        """Connect to one of the web processes, bypassing the balancer."""
        key = (self.install.data_dir / "test_key").read_text(encoding="ascii")
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", headers=headers, timeout=90)

    def close(self) -> None:
        for each in (*self.webs.values(), *filter(None, [self.beat])):
            each.kill()


def read_events(response: httpx.Response) -> Iterator[tuple[str, Any]]:
    return parse_events(response.iter_lines())


@contextmanager
def running_site(writing: Writing, folder: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        model = stack.enter_context(FakeServer())
        model.respond = writing.respond
        postgres, broker, store = Postgres(), Valkey(persistent=True), VectorStore()
        for each in (postgres, broker, store):
            stack.callback(each.close)
            each.start()
        install = ClusterInstall(
            folder / "data",
            SECRET_KEY=SECRET,
            DATABASE_URL=postgres.database("site"),
            DATABASE_POOL_SECONDS="3",
            CELERY_BROKER_URL=broker.url,
            QDRANT_URL=store.url,
            JOB_MAX_ATTEMPTS="40",
            SHUTDOWN_DRAIN_SECONDS="1",
            LLM_INTER_TOKEN_TIMEOUT_SECONDS="60",
            ACCESS_CHECK_INTERVAL_HOURS="0",  # its documents would come and go among those that are counted
            **model_settings(model),
        )
        install.data_dir.mkdir(parents=True)
        migrated = run_manage(install.data_dir, "migrate", **install.settings)
        assert migrated.returncode == 0, migrated.stderr
        made = Site(install, postgres, broker, store)
        stack.callback(made.close)
        for port in made.ports:
            made.web(port)
        worker = stack.enter_context(install.worker())
        made.beat = install.beat()
        for each in (*made.webs.values(), worker, made.beat):
            each.wait_ready()
        stack.enter_context(made.balancer)
        install.server = Server(made.balancer.url, install.data_dir, made.webs[made.ports[0]].process)
        key = run_manage(
            install.data_dir, "create_api_key", "--user", "admin", "--name", "t", "--json", **install.settings
        )
        (install.data_dir / "test_key").write_text(json.loads(key.stdout)["key"], encoding="ascii")
        made.wait_balanced()
        assert install.upload("leave.md", LEAVE).status_code == 202
        install.wait_settled()
        yield made
