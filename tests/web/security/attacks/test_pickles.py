"""Write access to the database, the queue or a model folder is not enough to run code in Cairn."""

import base64
import contextlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core import signing
from django.core.cache import cache
from kombu.serialization import dumps as serialise
from kombu.serialization import loads as deserialise
from kombu.serialization import prepare_accept_content
from safetensors.torch import load_file

from cairn.cache.models import Entry
from cairn.celery import app
from cairn.inference.cross_encoders.transformer import PairNetwork
from cairn.inference.local_models import ModelFolder
from tests.tiny_models import span_reader
from tests.web.security.attacks.recorder import Attack


class MakesAFolder:
    """Unpickling an instance makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "mark"


def _cache_row(mark: Path) -> None:
    """Store a row like Django's own database cache."""
    text = base64.b64encode(pickle.dumps(MakesAFolder(mark))).decode()
    Entry.objects.create(key=cache.make_key("planted"), value=text)
    cache.get("planted")


def _cache_value(_mark: Path) -> object:
    cache.set("key", [1.5, 2.5])
    return cache.get("key") == [1.5, 2.5]


def _session_row(mark: Path) -> None:
    """Store a session with a valid signature: the attacker knows SECRET_KEY."""
    packed = base64.b64encode(pickle.dumps(MakesAFolder(mark)))
    store = SessionStore()
    signer = signing.TimestampSigner(salt=store.key_salt)
    store.save()
    Session.objects.filter(pk=store.session_key).update(session_data=signer.sign(packed.decode()))
    SessionStore(store.session_key).items()


def _session_value(_mark: Path) -> object:
    store = SessionStore()
    store["key"] = "value"
    store.save()
    return SessionStore(store.session_key)["key"] == "value"


def _queue_message(mark: Path) -> None:
    kind, encoding, body = serialise(MakesAFolder(mark), serializer="pickle")
    deserialise(body, kind, encoding, accept=prepare_accept_content(app.conf.accept_content))


def _queue_value(_mark: Path) -> object:
    kind, encoding, body = serialise(["a"], serializer="json")
    return deserialise(body, kind, encoding, accept=prepare_accept_content(app.conf.accept_content)) == ["a"]


def _reader_with(folder: Path, weights: object | None) -> Path:
    """Create a model with weights in PyTorch's own format, which is a pickle."""
    path = span_reader(folder)
    (safe,) = path.glob("*.safetensors")
    torch.save(load_file(safe) if weights is None else weights, path / "pytorch_model.bin")
    safe.unlink()
    return path


def _model_weights(mark: Path) -> None:
    path = _reader_with(mark.parent / "evil", {"x": MakesAFolder(mark)})
    PairNetwork.load(ModelFolder.of("ANSWERABILITY_MODEL", str(path)))


def _model_value(mark: Path) -> object:
    path = _reader_with(mark.parent / "good", None)
    return PairNetwork.load(ModelFolder.of("ANSWERABILITY_MODEL", str(path)))


@pytest.mark.parametrize(
    ("plant", "store"),
    [
        pytest.param(_cache_row, _cache_value, id="cache"),
        pytest.param(_session_row, _session_value, id="session"),
        pytest.param(_queue_message, _queue_value, id="queue"),
        pytest.param(_model_weights, _model_value, id="model"),
    ],
)
def test_pickle_is_not_loaded(
    db: None, mark: Path, attack: Attack, plant: Callable[[Path], None], store: Callable[[Path], object]
) -> None:
    attack.allowed(bool(store(mark)))
    with contextlib.suppress(Exception):
        plant(mark)
    attack.refused(not mark.exists())
    pickle.loads(pickle.dumps(MakesAFolder(mark)))
    assert mark.exists(), "the pickle does nothing, so this shows nothing"
