import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from llama_index.core.llms import MockLLM

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference import models
from cairn.inference.chat import ChatModel
from cairn.inference.chat.stream import Channel, TextStream
from cairn.inference.models import Health
from cairn.settings import Environment
from tests import tiny_models
from tests.fakes import FakeEmbedder


def chat(name: str = "parrot", *, said: str = "Hi", failure: str = "") -> ChatModel:
    def open_stream(messages: object, max_tokens: int) -> TextStream:
        channel = Channel()
        channel.put(said)
        channel.end()
        return TextStream(channel)

    def probe() -> None:
        if failure:
            raise Unavailable(failure)

    return ChatModel(name, 512, MockLLM(), opener=open_stream, probe=probe)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is loaded, by name, instead of the real models; nothing is loaded at first."""
    loaded: list[str] = []

    def load_embedder(environment: object) -> FakeEmbedder:
        loaded.append("embedder")
        return FakeEmbedder()

    def load_chat(environment: object) -> ChatModel:
        loaded.append("chat")
        return chat()

    monkeypatch.setattr(models, "open_embedder", load_embedder)
    monkeypatch.setattr(models, "open_chat_model", load_chat)
    with models.use():
        monkeypatch.setattr(models._slot(None), "loaded", None)
        monkeypatch.setattr(models._chat, "loaded", None)
        yield loaded


def test_each_model_is_loaded_once(loads: list[str]) -> None:
    assert models.embedder() is models.embedder()
    assert models.chat_model() is models.chat_model()
    assert loads == ["embedder", "chat"]


def test_threads_that_ask_together_load_once(loads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    everyone = threading.Barrier(4)
    loading = threading.Event()

    def slow(environment: object) -> FakeEmbedder:
        loads.append("embedder")
        assert loading.wait(60)
        return FakeEmbedder()

    def ask(_: int) -> object:
        everyone.wait(60)
        return models.embedder()

    monkeypatch.setattr(models, "open_embedder", slow)
    with ThreadPoolExecutor(4) as pool:
        asking = pool.map(ask, range(4))
        loading.set()
        assert len(set(map(id, asking))) == 1
    assert loads == ["embedder"]


def test_a_failed_load_is_tried_again(loads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(models, "open_embedder", lambda environment: (_ for _ in ()).throw(Unavailable("no")))
        with pytest.raises(Unavailable):
            models.embedder()
    assert models.embedder().model == "fake-words"


def test_warm_loads_both_and_tells_of_it(loads: list[str]) -> None:
    told: list[str] = []
    models.warm(told.append)
    assert sorted(loads) == ["chat", "embedder"]
    assert sorted(told) == [
        "embedding model fake-words is ready",
        "language model parrot is ready",
        "loading the embedding model",
        "loading the language model",
    ]


def test_warm_raises_what_is_wrong(loads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def misconfigured(environment: object) -> ChatModel:
        raise ConfigurationError("LLM_MODEL is not there")

    monkeypatch.setattr(models, "open_chat_model", misconfigured)
    with pytest.raises(ConfigurationError, match="LLM_MODEL"):
        models.warm()


def test_use_is_for_a_while(loads: list[str]) -> None:
    mine, theirs = FakeEmbedder(model="mine"), models.embedder()
    with models.use(embedder=mine, chat=chat("polly")):
        assert models.embedder() is mine
        assert models.chat_model().name == "polly"
        with models.use(chat=chat("other")):
            assert models.embedder() is mine
            assert models.chat_model().name == "other"
        assert models.chat_model().name == "polly"
    assert models.embedder() is theirs
    assert models.chat_model().name == "parrot"


def test_health_before_and_after_loading(loads: list[str]) -> None:
    assert models.embedder_health() == models.chat_health() == Health(ok=False, detail="not loaded yet")
    assert loads == []
    models.warm()
    assert models.embedder_health() == Health(ok=True, detail="fake-words")
    assert models.chat_health() == Health(ok=True, detail="parrot")


def test_health_tells_what_is_wrong(loads: list[str]) -> None:
    broken = FakeEmbedder()
    broken.broken = True
    with models.use(embedder=broken, chat=chat(failure="engine died")):
        assert models.embedder_health() == Health(ok=False, detail="The embedding model is not reachable.")
        assert models.chat_health() == Health(ok=False, detail="engine died")


def test_vectors_of_zeros_are_not_healthy(loads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = FakeEmbedder()
    monkeypatch.setattr(zeros, "embed_query", lambda text: np.zeros(3, np.float32))
    with models.use(embedder=zeros):
        assert not models.embedder_health().ok


def test_a_model_is_not_probed_at_every_look(loads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(models.time, "monotonic", lambda: now[0])
    fake = FakeEmbedder()
    with models.use(embedder=fake):
        assert models.embedder_health().ok
        fake.broken = True
        now[0] += 9
        assert models.embedder_health().ok
        now[0] += 2
        assert not models.embedder_health().ok


def test_close_closes_the_chat_model_once(loads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    model = chat()
    closing = ChatModel("x", 512, model.llm, opener=model.opener, closer=lambda: closed.append("x"))
    with models.use(chat=closing):
        models.close()
        models.close()
    assert closed == ["x"]


@pytest.mark.models
def test_the_default_models(models_environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "environment", lambda: models_environment)
    with models.use():
        monkeypatch.setattr(models._slot(None), "loaded", None)
        monkeypatch.setattr(models._chat, "loaded", None)
        models.warm()
        assert models.embedder().dimension == 384
        assert models.chat_model().name == "SmolLM2-135M-Instruct.Q4_1"
        assert models.chat_model().count_tokens("The capital of France is Paris.") == 7
        assert models.embedder_health().ok
        assert models.chat_health().ok
        models.close()


@pytest.fixture
def models_environment(tmp_path: Path, models_folder: Path) -> Environment:
    """Finds what the other tests have exported and converted."""
    (tmp_path / "models").symlink_to(models_folder)
    return Environment(data_dir=tmp_path)


def test_optional_models_are_loaded_as_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    labels = {"entailment": "yes", "not_entailment": "no"}
    given = Environment(
        reranker_model=str(tiny_models.classifier(tmp_path / "ranks", {"LABEL_0": "yes"}, second=True)),
        answerability_model=str(tiny_models.span_reader(tmp_path / "reads")),
        grounding_model=str(tiny_models.classifier(tmp_path / "nli", labels, second=True)),
        reranker_seconds=60,
    )
    monkeypatch.setattr(models, "environment", lambda: given)
    asked = (models.reranker_health, models.answer_reader_health, models.language_inference_health)
    with models.use():
        assert {health().detail for health in asked} == {"not loaded yet"}
        assert models.reranker() is models.reranker()
        assert models.answer_reader().name == "reads"
        assert models.language_inference().name == "nli"
        assert [health().detail for health in asked] == ["ranks", "reads", "nli"]
        models.close()
