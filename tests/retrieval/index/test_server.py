"""The server index only: network, key and cluster settings."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from uuid import uuid4

import pytest
from qdrant_client import QdrantClient

from cairn.errors import ConfigurationError, Unavailable
from retrieval.index.qdrant_server import ServerIndex, Spread
from tests.backends import VectorStore
from tests.retrieval.index.points import DIMENSION, ask, point
from tests.threaded_server import SilentRequests

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant:UserWarning"),
    pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection:UserWarning"),
]


@pytest.fixture
def answering() -> Iterator[Callable[[int], str]]:
    """The address of a server that answers everything with one status."""
    servers: list[HTTPServer] = []

    def start(status: int) -> str:
        class Handler(SilentRequests, BaseHTTPRequestHandler):
            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the names http.server calls

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def reaching(url: str) -> ServerIndex:
    return ServerIndex(QdrantClient(url=url, timeout=5, check_compatibility=False), "cairn_test")


def calls(index: ServerIndex) -> list[Callable[[], object]]:
    return [
        lambda: index.upsert([point()]),
        lambda: index.delete_version(uuid4()),
        lambda: index.set_fields(uuid4(), readers=(), tags=()),
        lambda: ask(index),
        index.count,
    ]


def test_unreachable_server_is_unavailable() -> None:
    index = reaching("http://127.0.0.1:9")
    for call in calls(index):
        with pytest.raises(Unavailable, match="isn't responding"):
            call()
    index.close()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, ConfigurationError),
        (403, ConfigurationError),
        (404, Unavailable),
        (429, Unavailable),
        (503, Unavailable),
    ],
)
def test_refusals(answering: Callable[[int], str], status: int, error: type[Exception]) -> None:
    index = reaching(answering(status))
    for call in calls(index):
        with pytest.raises(error):
            call()
    index.close()


def test_collection_is_created_once_and_must_match_the_dimension() -> None:
    client = QdrantClient(":memory:")
    with pytest.raises(Unavailable, match="no collection"):
        ServerIndex.open(client, "cairn_test", dimension=DIMENSION)
    ServerIndex.create(client, "cairn_test", dimension=DIMENSION).upsert([point()])
    with pytest.raises(Unavailable, match="already"):
        ServerIndex.create(client, "cairn_test", dimension=DIMENSION)
    with pytest.raises(ConfigurationError, match="vectors of 8 numbers, not 16"):
        ServerIndex.open(client, "cairn_test", dimension=16)
    index = ServerIndex.open(client, "cairn_test", dimension=DIMENSION)
    assert index.count() == 1
    index.close()


def test_collection_uses_configured_replicas_and_shards() -> None:
    """The fake server records the request."""
    store = VectorStore()
    store.start()
    try:
        client = QdrantClient(url=store.url, check_compatibility=False)
        spread = Spread(replicas=3, written=2, shards=6)
        ServerIndex.create(client, "cairn_spread", dimension=DIMENSION, spread=spread).close()
        asked = json.loads((store.folder / "collections" / "cairn_spread.json").read_text())
    finally:
        store.close()
    names = ("replication_factor", "write_consistency_factor", "shard_number")
    assert [asked[name] for name in names] == [3, 2, 6]
