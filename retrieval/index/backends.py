"""Index back ends: a folder of Qdrant Edge, or a collection on a Qdrant server.

A generation starts in the place of its own name; a rewrite moves it to another one.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from qdrant_client import QdrantClient

from cairn.errors import Unavailable
from cairn.http.ssrf_guard import GuardedTransport
from cairn.settings import environment
from cairn.settings.env import ROOT
from retrieval.index.protocol import Store
from retrieval.index.qdrant_edge import EdgeIndex, require_room_for_copy
from retrieval.index.qdrant_server import ServerIndex, Spread

TIMEOUT_SECONDS = 30
_OPTIMISE = "retrieval.index.edge_optimise"


def create_index(place: str, dimension: int) -> Store:
    if environment().qdrant_url is None:
        return EdgeIndex.create(_folder(place), dimension=dimension)
    return ServerIndex.create(_client(), _collection(place), dimension=dimension, spread=_spread())


def open_index(place: str, dimension: int) -> Store:
    """Raises Unavailable if it is not there: an index that is lost must not come back empty."""
    if environment().qdrant_url is None:
        return EdgeIndex.open(_folder(place), dimension=dimension)
    return ServerIndex.open(_client(), _collection(place), dimension=dimension)


def require_room(place: str) -> None:
    """Raises Unavailable if the disk has no room for a copy. A Qdrant server has a disk of its own."""
    if environment().qdrant_url is None:
        require_room_for_copy(_folder(place))


def remove_index(place: str) -> None:
    """Remove an index if it exists. No process may have its folder open."""
    if environment().qdrant_url is not None:
        ServerIndex.remove(_client(), _collection(place))
    elif (folder := _folder(place)).exists():
        _remove(folder)


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise Unavailable(f"The vector index {folder} couldn't be removed: {error}") from error


def optimising(place: str) -> "subprocess.Popen[str] | None":
    """A child that vacuums a closed index and builds its graph; None where the store does so by itself.

    It may be killed at any time: the index stays as it was.
    """
    if environment().qdrant_url is not None:
        return None
    return subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-m", _OPTIMISE, str(_folder(place))],
        cwd=ROOT,
        stdin=subprocess.PIPE,  # closes when this process dies, and the child ends
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _folder(place: str) -> Path:
    return environment().data_dir / "index" / place


def _collection(place: str) -> str:
    return f"cairn_{place}"


def _spread() -> Spread:
    given = environment()
    return Spread(
        replicas=given.qdrant_replication_factor,
        written=given.qdrant_write_consistency,
        shards=given.qdrant_shards,
    )


def _client() -> QdrantClient:
    key = environment().qdrant_api_key
    return QdrantClient(
        url=environment().qdrant_url,
        api_key=key.get_secret_value() if key else None,
        timeout=TIMEOUT_SECONDS,
        transport=GuardedTransport(environment().qdrant_url or ""),
        check_compatibility=False,  # it would ask a server that may not be up yet, and only print
    )
