"""Asking questions without a pause, and holding up a build, for tests of installs that change their index."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx

from tests.cairn.inference.server import Exchange, FakeServer
from tests.installs import Install, until
from tests.models import OTHER_MODEL, respond_plainly

QUESTION: Final = "Which desk does form 3 of rule 2.2.3 go to?"


class Holdup:
    """The other model embeds so many batches of documents, then waits until it is released."""

    def __init__(self, after: int) -> None:
        self._left = after
        self._lock = threading.Lock()
        self._released = threading.Event()
        self.reached = threading.Event()
        self.texts = 0

    def server(self) -> FakeServer:
        server = FakeServer()
        server.respond = self._respond
        return server

    def release(self) -> None:
        self._released.set()

    def _respond(self, exchange: Exchange) -> None:
        texts = exchange.body.get("input", ())
        if exchange.body["model"] == OTHER_MODEL and len(texts) > 1:
            with self._lock:
                self._left -= 1
                is_paused = self._left < 0
            if is_paused:
                self.reached.set()
                self._released.wait(60)
            self.texts += len(texts)
        respond_plainly(exchange)


class Askers:
    """`wrong` are answers that were not 200, or found nothing. A process that was killed gives none."""

    def __init__(self, install: Install) -> None:
        self._install = install
        self._over = threading.Event()
        self.answers = 0
        self.wrong: list[str] = []

    @contextmanager
    def asking(self, threads: int = 3) -> Iterator["Askers"]:
        askers = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for asker in askers:
            asker.start()
        try:
            yield self
        finally:
            self._over.set()
            for asker in askers:
                asker.join(60)

    def some_more(self, count: int = 9) -> None:
        wanted = self.answers + count
        until(lambda: self.answers >= wanted or bool(self.wrong), what=f"for answers, {self.answers} so far")

    def _run(self) -> None:
        while not self._over.is_set():
            server = self._install.server
            if server is None:
                self._over.wait(0.05)
                continue
            try:
                self._note(
                    self._install.ask("POST", "/search", json={"query": QUESTION, "top_k": 5}), "results"
                )
                self._note(
                    self._install.ask("POST", "/ask", json={"question": QUESTION}), "nearest", "citations"
                )
            except (httpx.TransportError, AssertionError):  # killed, or not there yet
                if server is self._install.server and server.process.poll() is None:
                    self.wrong.append("a server that runs did not answer")

    def _note(self, answer: httpx.Response, *fields: str) -> None:
        body: Any = answer.json()
        if answer.status_code != 200 or not any(body[field] for field in fields):
            self.wrong.append(f"{answer.status_code}: {str(body)[:300]}")
        self.answers += 1


def generations(install: Install) -> dict[str, dict[str, Any]]:
    """Return generations by state; the last one of several in a state."""
    shown = install.ask("GET", "/index").json()["generations"]
    return {row["state"]: row for row in shown}


def wait_for(install: Install, state: str, dimension: int) -> None:
    until(
        lambda: generations(install).get(state, {}).get("dimension") == dimension,
        what=f"for a {state} generation of {dimension} numbers, there are {generations(install)}",
    )
