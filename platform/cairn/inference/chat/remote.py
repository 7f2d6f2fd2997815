"""Chat models behind an OpenAI-compatible server: vLLM, Ollama, LM Studio, llama.cpp, …"""

import logging
import re
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Self

import httpx
from llama_index.core.llms import ChatMessage

from cairn import outgoing
from cairn.errors import CairnError, ConfigurationError, Unavailable
from cairn.inference.chat.background import BackgroundLoop
from cairn.inference.chat.model import ChatModel
from cairn.inference.chat.stream import Channel, TextStream
from cairn.settings import Environment

logger = logging.getLogger(__name__)
_CONNECT_SECONDS = 5
_SILENCE_SECONDS = 120  # a busy server may read a long prompt for a while before its first token
_PROBE_SECONDS = 10
_REFUSED = {400, 413, 422}  # the request itself: sent again it would fail again
_CONTROL = re.compile(r"<\|(?=[\w-]+\|>)")


class RemoteChat:
    """Requests run in an event loop, where closing a stream ends its connection at once, even before the
    first token."""

    def __init__(self, base_url: str, *, model: str, api_key: str | None, context_tokens: int) -> None:
        import openai  # noqa: PLC0415 - with the next, a second of start-up that only served models need
        from llama_index.llms.openai_like import (  # type: ignore[import-untyped]  # noqa: PLC0415 - the same
            OpenAILike,
        )

        self._base_url = base_url.rstrip("/")
        self._failure: type[Exception] = openai.OpenAIError
        self._loop = BackgroundLoop("chat-requests")
        self._http = outgoing.async_client(self._base_url)
        self.llm = OpenAILike(
            model=model,
            api_base=self._base_url,
            api_key=api_key or "none",
            context_window=context_tokens,
            is_chat_model=True,
            temperature=0.0,
            max_retries=1,
            async_http_client=self._http,
        )

    @classmethod
    def configured(cls, environment: Environment) -> Self:
        if not environment.llm_model:
            raise ConfigurationError(
                "LLM_BASE_URL needs LLM_MODEL: the name under which the server serves its model"
            )
        key = environment.llm_api_key
        return cls(
            environment.llm_base_url or "",
            model=environment.llm_model,
            api_key=key.get_secret_value() if key else None,
            context_tokens=environment.llm_context_tokens,
        )

    @property
    def chat_model(self) -> ChatModel:
        return ChatModel(
            self.llm.model,
            self.llm.context_window,
            self.llm,
            opener=self.open_stream,
            probe=self.probe,
            closer=self.close,
        )

    def open_stream(self, messages: Sequence[ChatMessage], max_tokens: int) -> TextStream:
        return self._started(messages, max_tokens, silence=_SILENCE_SECONDS)

    def probe(self) -> None:
        """Asks for one token: a server can call itself healthy while its engine is not."""
        with self._started([ChatMessage("ping")], 1, silence=_PROBE_SECONDS) as answer:
            for _ in answer:
                pass

    def close(self) -> None:
        self._loop.close(finally_=self._http.aclose)

    def _started(self, messages: Sequence[ChatMessage], max_tokens: int, *, silence: float) -> TextStream:
        channel = Channel()
        options = {
            "max_tokens": max_tokens,
            "timeout": httpx.Timeout(silence, connect=_CONNECT_SECONDS),
        }
        request = self._loop.start(self._pump(channel, [_harmless(message) for message in messages], options))
        request.add_done_callback(lambda done: channel.end(_ending(done)))
        channel.on_close(lambda: _cancel(request))
        return TextStream(channel)

    async def _pump(self, channel: Channel, messages: list[ChatMessage], options: dict[str, Any]) -> None:
        try:
            async for piece in await self.llm.astream_chat(messages, **options):
                if piece.delta:
                    channel.put(piece.delta)
        except (self._failure, httpx.HTTPError) as failure:
            channel.end(self._explained(failure))
        except Exception as failure:  # noqa: BLE001 - a task's outermost boundary; the reader gets it
            logger.warning("reading the language model's answer failed: %r", failure)
            channel.end(Unavailable(f"The language model at {self._base_url} answers what cannot be read"))

    def _explained(self, failure: Exception) -> CairnError:
        status = getattr(failure, "status_code", None)
        said = f"answered {status}: {failure}" if status else f"failed: {failure}"
        message = f"The language model {self.llm.model} at {self._base_url} {said}"
        return ConfigurationError(message) if status in _REFUSED else Unavailable(message)


def _ending(request: Future[None]) -> CairnError | None:
    return Unavailable("The request to the language model was stopped") if request.cancelled() else None


def _cancel(request: Future[None]) -> None:
    request.cancel()


def _harmless(message: ChatMessage) -> ChatMessage:
    """Servers read `<|…|>` in a text as the model's own markers: a passage could end its turn with one."""
    return ChatMessage(_CONTROL.sub("< |", message.content or ""), role=message.role)
