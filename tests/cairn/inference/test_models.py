import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from llama_index.core.llms import MockLLM

from cairn.errors import Unavailable
from cairn.inference import registry
from cairn.inference.chat import LlamaIndexChatModel
from cairn.inference.chat.text_stream import Channel, TextStream
from cairn.inference.registry import Health
from cairn.settings import Environment
from tests import tiny_models
from tests.fakes import FakeEmbedder


def chat(name: str = "parrot", *, reply: str = "Hi", failure: str = "") -> LlamaIndexChatModel:
    def open_stream(messages: object, max_tokens: int) -> TextStream:
        channel = Channel()
        channel.put(reply)
        channel.end()
        return TextStream(channel)

    def probe() -> None:
        if failure:
            raise Unavailable(failure)

    return LlamaIndexChatModel(name, 512, MockLLM(), opener=open_stream, probe=probe)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of loaded models, in place of the real ones; empty at first."""
    loaded: list[str] = []

    def load_embedder(environment: object) -> FakeEmbedder:
        loaded.append("embedder")
        return FakeEmbedder()

    def load_chat(environment: object) -> LlamaIndexChatModel:
        loaded.append("chat")
        return chat()

    monkeypatch.setattr(registry, "open_embedder", load_embedder)
    monkeypatch.setattr(registry, "open_chat_model", load_chat)
    with registry.use():
        monkeypatch.setattr(registry._slot(None), "loaded", None)
        monkeypatch.setattr(registry._chat.last, "loaded", None)
        yield loaded


def test_each_model_is_loaded_once(loads: list[str]) -> None:
    assert registry.embedder() is registry.embedder()
    assert registry.chat_model() is registry.chat_model()
    assert loads == ["embedder", "chat"]


def test_concurrent_threads_load_a_model_once(loads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    everyone = threading.Barrier(4)
    loading = threading.Event()

    def slow(environment: object) -> FakeEmbedder:
        loads.append("embedder")
        assert loading.wait(60)
        return FakeEmbedder()

    def ask(_: int) -> object:
        everyone.wait(60)
        return registry.embedder()

    monkeypatch.setattr(registry, "open_embedder", slow)
    with ThreadPoolExecutor(4) as pool:
        asking = pool.map(ask, range(4))
        loading.set()
        assert len(set(map(id, asking))) == 1
    assert loads == ["embedder"]


def test_failed_load_is_retried(loads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(registry, "open_embedder", lambda environment: (_ for _ in ()).throw(Unavailable("no")))
        with pytest.raises(Unavailable):
            registry.embedder()
    assert registry.embedder().model == "fake-words"


def test_use_is_for_a_while(loads: list[str]) -> None:
    mine, theirs = FakeEmbedder(model="mine"), registry.embedder()
    with registry.use(embedder=mine, chat=chat("polly")):
        assert registry.embedder() is mine
        assert registry.chat_model().name == "polly"
        with registry.use(chat=chat("other")):
            assert registry.embedder() is mine
            assert registry.chat_model().name == "other"
        assert registry.chat_model().name == "polly"
    assert registry.embedder() is theirs
    assert registry.chat_model().name == "parrot"


def test_health_before_and_after_loading(loads: list[str]) -> None:
    assert registry.embedder_health() == registry.chat_health() == Health(ok=False, detail="not loaded yet")
    assert loads == []
    registry.embedder(), registry.chat_model()
    assert registry.embedder_health() == Health(ok=True, detail="fake-words")
    assert registry.chat_health() == Health(ok=True, detail="parrot")


def test_health_explains_failures(loads: list[str]) -> None:
    broken = FakeEmbedder()
    broken.broken = True
    with registry.use(embedder=broken, chat=chat(failure="engine died")):
        assert registry.embedder_health() == Health(ok=False, detail="The embedding model is not reachable.")
        assert registry.chat_health() == Health(ok=False, detail="engine died")


def test_vectors_of_zeros_are_not_healthy(loads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = FakeEmbedder()
    monkeypatch.setattr(zeros, "embed_query", lambda text: np.zeros(3, np.float32))
    with registry.use(embedder=zeros):
        assert not registry.embedder_health().ok


def test_model_is_probed_at_most_once_in_ten_seconds(
    loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(registry.time, "monotonic", lambda: now[0])
    fake = FakeEmbedder()
    with registry.use(embedder=fake):
        assert registry.embedder_health().ok
        fake.broken = True
        now[0] += 9
        assert registry.embedder_health().ok
        now[0] += 2
        assert not registry.embedder_health().ok


def test_chat_model_is_closed_once(loads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    model = chat()
    closing = LlamaIndexChatModel("x", 512, model.llm, opener=model.opener, closer=lambda: closed.append("x"))
    with registry.use(chat=closing):
        registry.close()
        registry.close()
    assert closed == ["x"]


def test_new_model_loads_while_the_old_one_is_used_and_both_are_closed(
    loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are closed at the end, even the one that may still answer."""
    old, new, loading, may_load = chat("old"), chat("new"), threading.Event(), threading.Event()
    closed: list[str] = []
    for model in (old, new):
        monkeypatch.setattr(type(model), "close", lambda self: closed.append(self.name))

    def load(environment: Environment) -> LlamaIndexChatModel:
        if environment.llm_model == "old":
            return old
        loading.set()
        assert may_load.wait(60)
        return new

    monkeypatch.setattr(registry, "open_chat_model", load)
    monkeypatch.setattr(registry, "_chat", registry._ChatSlots(lambda: registry.effective_environment()))
    monkeypatch.setattr(registry, "effective_environment", lambda: Environment(llm_model="old"))
    assert registry.chat_model() is old
    monkeypatch.setattr(registry, "effective_environment", lambda: Environment(llm_model="new"))
    with ThreadPoolExecutor(2) as pool:
        replacing = pool.submit(registry.chat_model)
        try:
            assert loading.wait(60)
            assert pool.submit(registry.chat_model).result(10) is old
        finally:
            may_load.set()
        assert replacing.result(60) is new
    assert registry.chat_model() is new
    registry.close()
    registry.close()
    assert sorted(closed) == ["new", "old"]


@pytest.mark.models
def test_default_models_load(models_environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "environment", lambda: models_environment)
    monkeypatch.setattr(registry, "effective_environment", lambda: models_environment)
    with registry.use():
        monkeypatch.setattr(registry._slot(None), "loaded", None)
        monkeypatch.setattr(registry._chat.last, "loaded", None)
        assert registry.embedder().dimension == 384
        assert registry.chat_model().name == "SmolLM2-135M-Instruct.Q4_1"
        assert registry.chat_model().count_tokens("The capital of France is Paris.") == 7
        assert registry.embedder_health().ok
        assert registry.chat_health().ok
        registry.close()


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
        reranker_timeout_seconds=60,
    )
    monkeypatch.setattr(registry, "environment", lambda: given)
    asked = (registry.reranker_health, registry.answer_reader_health, registry.language_inference_health)
    with registry.use():
        assert {health().detail for health in asked} == {"not loaded yet"}
        assert registry.reranker() is registry.reranker()
        assert registry.answer_reader().name == "reads"
        assert registry.language_inference().name == "nli"
        assert [health().detail for health in asked] == ["ranks", "reads", "nli"]
        registry.close()
