"""The vector stores, and the choice between them by VECTOR_INDEX and QDRANT_URL.

CONTRIBUTING.md has the recipe for another vector store.

A generation starts in the place of its own name; a rewrite moves it to another one.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from cairn.errors import ConfigurationError, Unavailable
from cairn.settings import environment
from cairn.settings.dotted_paths import create_dotted
from cairn.settings.env import EDGE, ONE_PROCESS_ONLY, ROOT
from retrieval.index.protocol import VectorStore
from retrieval.index.qdrant_edge import EdgeIndex, require_room_for_copy

_OPTIMISE = "retrieval.index.edge_optimise"


@runtime_checkable
class IndexBackend(Protocol):
    """A vector store. Each index has a place, a name that is unique in the store.

    `shared`: any process on any host may have an index open. Otherwise only one process may, indexes are in
    the folder `index` of DATA_DIR, and Cairn cannot run as several processes.
    """

    shared: bool

    def create(self, place: str, dimension: int) -> VectorStore: ...

    def open(self, place: str, dimension: int) -> VectorStore:
        """Raise Unavailable if it doesn't exist: an index that is lost must not come back empty."""

    def remove(self, place: str) -> None:
        """Remove an index if it exists. No process may have it open."""

    def require_room(self, place: str) -> None:  # noqa: ARG002 - a default
        """Raise Unavailable if the disk has no room for a copy of the index."""
        return

    def optimising(self, place: str) -> "subprocess.Popen[str] | None":  # noqa: ARG002 - a default
        """Start a process that optimises a closed index; None if the store does so on its own.

        It may be killed at any time: the index stays as it was.
        """
        return None

    def check(self) -> str:
        """Return where indexes are. Raise Unavailable if the store isn't responding."""


class EdgeBackend(IndexBackend):
    """Qdrant Edge: folders in DATA_DIR."""

    shared = False

    def create(self, place: str, dimension: int) -> VectorStore:
        return EdgeIndex.create(_folder(place), dimension=dimension)

    def open(self, place: str, dimension: int) -> VectorStore:
        return EdgeIndex.open(_folder(place), dimension=dimension)

    def remove(self, place: str) -> None:
        folder = _folder(place)
        try:
            if folder.exists():
                shutil.rmtree(folder)
        except OSError as error:
            raise Unavailable(f"The vector index {folder} couldn't be removed: {error}") from error

    def require_room(self, place: str) -> None:
        require_room_for_copy(_folder(place))

    def optimising(self, place: str) -> "subprocess.Popen[str] | None":
        return subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-m", _OPTIMISE, str(_folder(place))],
            cwd=ROOT,
            stdin=subprocess.PIPE,  # closes when this process dies, and the child ends
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def check(self) -> str:
        return f"Qdrant Edge in {environment().data_dir}"


def _folder(place: str) -> Path:
    return environment().data_dir / "index" / place


BACKENDS: Final = {
    EDGE: "retrieval.index.backends.EdgeBackend",
    "qdrant-server": "retrieval.index.qdrant_server_backend.ServerBackend",
}
"""By dotted path: importing the client of a Qdrant server takes a second, which others need not wait for."""


def index_backend() -> IndexBackend:
    """Return the configured store. A dotted path names one of another package."""
    name = environment().vector_store
    return create_dotted("VECTOR_INDEX", BACKENDS.get(name, name), IndexBackend)  # type: ignore[type-abstract]  # a protocol


def require_shared_index() -> None:
    backend = index_backend()
    if not backend.shared:
        raise ConfigurationError(ONE_PROCESS_ONLY.format(store=backend.check()))
