"""Models as servers, for tests that run Cairn as processes: quick to start, and the same in each."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cairn.inference.server import Exchange, FakeServer
from tests.fakes import FakeEmbedder

_embedder = FakeEmbedder()
OTHER_MODEL = "fake-other-words"
_EMBEDDERS = {each.model: each for each in (_embedder, FakeEmbedder(model=OTHER_MODEL, dimension=64))}
_LONGEST = 60.0


class Gate:
    """While it is closed, nothing is embedded: jobs stand still in the middle."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()

    @contextmanager
    def closed(self) -> Iterator[None]:
        self._open.clear()
        try:
            yield
        finally:
            self.open()

    def open(self) -> None:
        self._open.set()

    def pass_through(self) -> None:
        self._open.wait(_LONGEST)


def model_server(gate: Gate | None = None) -> FakeServer:
    """Embeds by words, with one of two models, and says one word."""
    server, gate = FakeServer(), gate or Gate()

    def respond(exchange: Exchange) -> None:
        gate.pass_through()
        respond_plainly(exchange)

    server.respond = respond
    return server


def model_settings(server: FakeServer) -> dict[str, str]:
    return {
        "EMBEDDING_BASE_URL": server.url,
        "EMBEDDING_MODEL": _embedder.model,
        "LLM_BASE_URL": server.url,
        "LLM_MODEL": "says-little",
    }


def respond_plainly(exchange: Exchange) -> None:
    if exchange.path.endswith("/embeddings"):
        vectors = _EMBEDDERS[exchange.body["model"]].embed_documents(exchange.body["input"])
        rows = [{"index": place, "embedding": vector.tolist()} for place, vector in enumerate(vectors)]
        exchange.answer({"data": rows})
    else:
        exchange.start_stream()
        exchange.delta("Yes.")
        exchange.event("[DONE]")
