"""A chat model as the rest of Cairn uses it."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llama_index.core.llms import LLM, ChatMessage

from cairn.errors import CairnError, Unavailable
from cairn.inference.chat.prompt_messages import require_cleared
from cairn.inference.chat.text_stream import Channel, TextStream
from cairn.inference.token_estimate import estimate_tokens

logger = logging.getLogger(__name__)
Opener = Callable[[Sequence[ChatMessage], int], TextStream]


@dataclass(frozen=True, slots=True)
class LlamaIndexChatModel:
    """`opener` starts an answer of at most so many tokens; `counter` counts a text's tokens.

    `background_opener`: the same for what nobody watches, where the model tells them apart. `probe` raises
    Unavailable when the model would not answer now; `closer` ends its threads. `is_outside`: the model runs
    outside the organisation, and takes only messages that were cleared for it.
    """

    name: str
    context_tokens: int
    llm: LLM
    opener: Opener
    counter: Callable[[str], int] = estimate_tokens
    probe: Callable[[], None] = lambda: None
    closer: Callable[[], None] = lambda: None
    background_opener: Opener | None = None
    is_outside: bool = False

    @classmethod
    def of(cls, llm: LLM) -> "LlamaIndexChatModel":
        """Any LlamaIndex LLM. Its tokens are estimated; closing a stream stops it at its next piece."""
        metadata = llm.metadata
        return cls(metadata.model_name, metadata.context_window, llm, opener=build_threaded_opener(llm))

    def count_tokens(self, text: str) -> int:
        """Exact for a model in this process, an estimate on the high side for others."""
        return self.counter(text)

    def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, background: bool = False
    ) -> TextStream:
        """Raises InvalidInput if the messages do not fit, and Unavailable if an outside model may not have
        them; reading raises Unavailable if the model fails.

        `background`: nobody watches it, so that whatever people ask comes first.
        """
        if self.is_outside:
            require_cleared(messages)
        opener = self.background_opener if background else None
        return (opener or self.opener)(messages, max_tokens)

    def close(self) -> None:
        """Stop all running answers."""
        self.closer()


def build_threaded_opener(llm: LLM) -> Opener:
    """Return an opener that reads `llm.stream_chat` in a thread: `close` frees a waiting reader."""

    def pump(channel: Channel, messages: Sequence[ChatMessage], max_tokens: int) -> None:
        error: BaseException | None = None
        try:
            pieces = llm.stream_chat(messages, max_tokens=max_tokens)
            for piece in pieces:
                if channel.closed:
                    break
                channel.put(piece.delta or "")
        except CairnError as known:
            error = known
        except Exception as unknown:  # noqa: BLE001 - a thread's outermost boundary; the reader gets it
            logger.warning("%s failed: %r", llm.class_name(), unknown)
            error = Unavailable(f"The language model failed: {unknown}")
        channel.end(error)

    def open_stream(messages: Sequence[ChatMessage], max_tokens: int) -> TextStream:
        channel = Channel()
        threading.Thread(
            target=pump, args=(channel, messages, max_tokens), name="chat-stream", daemon=True
        ).start()
        return TextStream(channel)

    return open_stream
