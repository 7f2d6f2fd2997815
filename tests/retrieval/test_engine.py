import threading
from pathlib import Path

import pytest
from llama_index.core.llms import ChatMessage

from retrieval.engine import ConfiguredChat, Engine, get_engine, use
from retrieval.index.qdrant_edge import EdgeIndex
from tests.fakes import FakeChat, FakeEmbedder


def test_engine_override_applies_to_every_thread_inside_the_block(tmp_path: Path) -> None:
    index = EdgeIndex.create(tmp_path / "index", dimension=8)
    outer, inner = (Engine(FakeEmbedder(dimension=8), index, FakeChat()) for _ in range(2))
    seen: list[Engine] = []
    with use(outer):
        with use(inner):
            thread = threading.Thread(target=lambda: seen.append(get_engine()))
            thread.start()
            thread.join()
        seen.append(get_engine())
    assert [each is expected for each, expected in zip(seen, (inner, outer), strict=True)] == [True, True]
    index.close()


def test_chat_model_is_loaded_lazily(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = FakeChat("It is so.")
    monkeypatch.setattr("retrieval.engine.chat_model", lambda: loaded)
    chat = ConfiguredChat()
    assert (chat.name, chat.context_tokens, chat.count_tokens("a b")) == ("fake-chat", 4096, 2)
    assert "".join(chat.stream([ChatMessage("Is it?")], max_tokens=9)) == "It is so."
