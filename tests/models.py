"""Models as servers, for tests that run Cairn as processes: quick to start, and the same in each."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cairn.inference.server import Exchange, FakeServer
from tests.fakes import FakeEmbedder

_embedder = FakeEmbedder()
OTHER_MODEL = "fake-other-words"
_EMBEDDERS = {each.model: each for each in (_embedder, FakeEmbedder(model=OTHER_MODEL, dimension=64))}
_LONGEST = 60.0
_WORD = re.compile(r"\w+")


class Gate:
    """While it is closed, nothing is embedded, so jobs stop in the middle."""

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
    """Embeds by words, with one of two models, and generates one word."""
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
        exchange.done()


def judge_respond(exchange: Exchange) -> None:
    """Respond as a judge: YES if all words of the answer occur in the context, else NO."""
    prompt = exchange.body["messages"][-1]["content"]
    asked, _, context = prompt.rpartition("\nContext: ")
    answer = (
        asked.rpartition("Response: ")[2] if "Response: " in asked else asked.rpartition("Information: ")[2]
    )
    words, known = set(_WORD.findall(answer.lower())), set(_WORD.findall(context.lower()))
    judge_answer(exchange, "YES" if words and words <= known else "NO")


def judge_answer(exchange: Exchange, text: str) -> None:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    about = {"id": "1", "object": "chat.completion", "created": 0, "model": exchange.body["model"]}
    exchange.answer({**about, "choices": [choice]})
