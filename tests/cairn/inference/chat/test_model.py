import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from llama_index.core.llms import (
    ChatMessage,
    ChatResponse,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseGen,
    CustomLLM,
    LLMMetadata,
)
from pydantic import PrivateAttr

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.chat import LlamaIndexChatModel, open_chat_model
from cairn.settings import Environment


class Scripted(CustomLLM):
    """Emits `pieces`, then fails if `failure` is set; waits for `go_on` before each piece after the first."""

    model: str = "scripted"
    api_key: str = ""
    pieces: list[str] = ["Yes", ", ", "indeed"]
    failure: bool = False
    _asked: list[dict[str, Any]] = PrivateAttr(default_factory=list)
    _go_on: threading.Event = PrivateAttr(default_factory=threading.Event)
    _ended: threading.Event = PrivateAttr(default_factory=threading.Event)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name=self.model, context_window=2048, is_chat_model=True)

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        self._asked.append(kwargs)
        return self._responses()

    def _responses(self) -> Iterator[ChatResponse]:
        try:
            for number, piece in enumerate(self.pieces):
                if number:
                    assert self._go_on.wait(60)
                yield ChatResponse(message=ChatMessage(piece), delta=piece)
            if self.failure:
                raise RuntimeError("no more memory")
        finally:
            self._ended.set()

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        raise NotImplementedError

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        raise NotImplementedError


def scripted(**fields: Any) -> Scripted:
    llm = Scripted(**fields)
    llm._go_on.set()
    return llm


def not_a_model() -> str:
    return "nothing"


MESSAGES = [ChatMessage("Is it?")]


def test_any_llamaindex_llm_will_do() -> None:
    llm = scripted()
    model = LlamaIndexChatModel.of(llm)
    assert (model.name, model.context_tokens, model.llm) == ("scripted", 2048, llm)
    assert "".join(model.stream(MESSAGES, max_tokens=7)) == "Yes, indeed"
    assert llm._asked == [{"max_tokens": 7}]
    assert model.count_tokens("twelve chars") == 5


def test_llm_failure_is_unavailable() -> None:
    stream = LlamaIndexChatModel.of(scripted(failure=True)).stream(MESSAGES, max_tokens=7)
    assert [next(stream) for _ in range(3)] == ["Yes", ", ", "indeed"]
    with pytest.raises(Unavailable, match="no more memory"):
        next(stream)


def test_closing_frees_the_reader_and_stops_the_llm_at_its_next_piece() -> None:
    llm = Scripted()
    stream = LlamaIndexChatModel.of(llm).stream(MESSAGES, max_tokens=7)
    assert next(stream) == "Yes"
    stream.close()
    assert list(stream) == []
    llm._go_on.set()
    assert llm._ended.wait(60)


def test_llm_class_is_created_from_settings() -> None:
    name = f"{__name__}.Scripted"
    model = open_chat_model(Environment(llm_class=name, llm_model="other", llm_api_key="secret"))
    assert isinstance(model.llm, Scripted)
    assert (model.name, model.llm.api_key) == ("other", "secret")
    assert open_chat_model(Environment(llm_class=name)).name == "scripted"


@pytest.mark.parametrize("name", ["Scripted", "no_such_module.Class", f"{__name__}.Absent", ".x"])
def test_unknown_llm_class_is_rejected(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"can't be imported|not a dotted path"):
        open_chat_model(Environment(llm_class=name))


def complain(model: str, api_base: str, api_key: str) -> None:
    raise RuntimeError(f"{model} does not take {api_key} for {api_base}")


def test_uncreatable_llm_class_error_hides_key_and_password() -> None:
    given = {
        "llm_model": "other",
        "llm_api_key": "sk-secret",
        "llm_base_url": "https://user:hunter2@llm.example/v1",
    }
    with pytest.raises(ConfigurationError) as raised:
        open_chat_model(Environment(llm_class=f"{__name__}.complain", **given))
    assert "other does not take … for https://…@llm.example/v1" in raised.value.message


def test_class_that_is_not_an_llm_is_rejected() -> None:
    with pytest.raises(ConfigurationError, match="doesn't create an object of the class LLM"):
        open_chat_model(Environment(llm_class=f"{__name__}.not_a_model"))


def test_llm_base_url_requires_a_model_name() -> None:
    with pytest.raises(ConfigurationError, match="LLM_MODEL"):
        open_chat_model(Environment(llm_base_url="http://127.0.0.1:1/v1"))


def test_missing_gguf_path_is_rejected() -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.gguf is not there"):
        open_chat_model(Environment(llm_model="/absent.gguf"))
