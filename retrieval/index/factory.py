"""Which index answers, and the one that this process has open."""

import threading
import uuid
from dataclasses import dataclass
from pathlib import Path

from django.db import IntegrityError, transaction
from django.utils import timezone
from qdrant_client import QdrantClient

from cairn.errors import ConfigurationError
from cairn.inference.models import embedder
from cairn.inference.protocols import Embedder
from cairn.settings import environment
from retrieval.index.edge import EdgeIndex
from retrieval.index.protocol import VectorIndex
from retrieval.index.server import ServerIndex
from retrieval.models import GenerationState, IndexGeneration

TIMEOUT_SECONDS = 30


def create_index(generation_name: str, dimension: int) -> VectorIndex:
    if environment().qdrant_url is None:
        return EdgeIndex.create(_folder(generation_name), dimension=dimension)
    return ServerIndex.create(_client(), _collection(generation_name), dimension=dimension)


def open_index(generation_name: str, dimension: int) -> VectorIndex:
    """Raises Unavailable if it is not there: an index that is lost must not come back empty."""
    if environment().qdrant_url is None:
        return EdgeIndex.open(_folder(generation_name), dimension=dimension)
    return ServerIndex.open(_client(), _collection(generation_name), dimension=dimension)


def _folder(generation_name: str) -> Path:
    return environment().data_dir / "index" / generation_name


def _collection(generation_name: str) -> str:
    return f"cairn_{generation_name}"


def _client() -> QdrantClient:
    key = environment().qdrant_api_key
    return QdrantClient(
        url=environment().qdrant_url,
        api_key=key.get_secret_value() if key else None,
        timeout=TIMEOUT_SECONDS,
        check_compatibility=False,  # it would ask a server that may not be up yet, and only print
    )


@dataclass(frozen=True, slots=True)
class Opened:
    generation: IndexGeneration
    index: VectorIndex


class ActiveIndex:
    """Opened at the first use, shared by all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: Opened | None = None

    def get(self) -> Opened:
        if (opened := self._opened) is not None:
            return opened
        with self._lock:
            if self._opened is None:
                self._opened = _open_active(embedder())
            return self._opened

    def close(self) -> None:
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.index.close()


_active = ActiveIndex()


def active_index() -> VectorIndex:
    """Made at the first start. Raises ConfigurationError if it holds another model's vectors."""
    return _active.get().index


def active_generation() -> IndexGeneration:
    active = IndexGeneration.objects.filter(state=GenerationState.ACTIVE).first()
    return active or _active.get().generation


def close_index() -> None:
    """The next use opens it again."""
    _active.close()


def _open_active(model: Embedder) -> Opened:
    active = IndexGeneration.objects.filter(state=GenerationState.ACTIVE).first()
    if active is None:
        return _begin(model)
    _require_same_space(active, model)
    return Opened(active, open_index(active.name, active.dimension))


def _begin(model: Embedder) -> Opened:
    """The row first: of several processes that start together, one gets to make the index."""
    try:
        with transaction.atomic():
            first = IndexGeneration.objects.create(
                name=f"{timezone.now():%Y%m%d}-{uuid.uuid4().hex[:8]}",
                embedding_model=model.model,
                dimension=model.dimension,
                state=GenerationState.ACTIVE,
            )
            return Opened(first, create_index(first.name, first.dimension))
    except IntegrityError:
        return _open_active(model)


def _require_same_space(generation: IndexGeneration, model: Embedder) -> None:
    indexed = f"{generation.embedding_model} ({generation.dimension} numbers)"
    configured = f"{model.model} ({model.dimension} numbers)"
    if indexed != configured:
        raise ConfigurationError(
            f"The documents were embedded with {indexed}, but {configured} is configured. Vectors of two "
            "models cannot be compared. Set EMBEDDING_MODEL back, or start with an empty DATA_DIR and "
            "database and load the documents again."
        )
