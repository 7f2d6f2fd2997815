"""Collections on a Qdrant server as the vector store."""

from typing import Final

from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import UnexpectedResponse

from cairn.errors import ConfigurationError, Unavailable
from cairn.http.ssrf_guard import GuardedTransport
from cairn.settings import environment
from retrieval.index.backends import IndexBackend
from retrieval.index.protocol import VectorStore
from retrieval.index.qdrant_server import ServerIndex, Spread, translate_errors

TIMEOUT_SECONDS: Final = 30
CHECK_SECONDS: Final = 5


class ServerBackend(IndexBackend):
    """Collections on the Qdrant server at QDRANT_URL, which has a disk of its own."""

    shared = True

    def create(self, place: str, dimension: int) -> VectorStore:
        return ServerIndex.create(_client(), _collection(place), dimension=dimension, spread=_read_spread())

    def open(self, place: str, dimension: int) -> VectorStore:
        return ServerIndex.open(_client(), _collection(place), dimension=dimension)

    def remove(self, place: str) -> None:
        ServerIndex.remove(_client(), _collection(place))

    def check(self) -> str:
        url = environment().qdrant_url
        try:
            with translate_errors():
                _client(CHECK_SECONDS).get_collections()
        except UnexpectedResponse as error:
            raise Unavailable(f"{url} responds with {error.status_code}, unlike a Qdrant server.") from error
        except ValueError as error:
            raise ConfigurationError(f"QDRANT_URL {url} is not a valid address: {error}") from error
        return f"Qdrant server at {url}"


def _collection(place: str) -> str:
    return f"cairn_{place}"


def _read_spread() -> Spread:
    given = environment()
    return Spread(
        replicas=given.qdrant_replication_factor,
        written=given.qdrant_write_consistency,
        shards=given.qdrant_shards,
    )


def _client(timeout: int = TIMEOUT_SECONDS) -> QdrantClient:
    url, key = environment().qdrant_url, environment().qdrant_api_key
    if url is None:
        raise ConfigurationError("VECTOR_INDEX is qdrant-server, but QDRANT_URL is not set.")
    return QdrantClient(
        url=url,
        api_key=key.get_secret_value() if key else None,
        timeout=timeout,
        transport=GuardedTransport(url),
        check_compatibility=False,  # it would ask a server that may not be up yet, and only print
    )
