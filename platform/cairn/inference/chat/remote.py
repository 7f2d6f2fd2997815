"""Chat models behind OpenAI-compatible servers, one or several that serve the same model."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import aclosing
from functools import partial
from typing import Any

from llama_index.core.llms import ChatMessage

from cairn.errors import CairnError, ConfigurationError, Unavailable
from cairn.inference.chat import metrics
from cairn.inference.chat.admission import Admission, Priority
from cairn.inference.chat.endpoint import TIMEOUT, Endpoint, EndpointFailed
from cairn.inference.chat.event_loop import BackgroundLoop
from cairn.inference.chat.model import LlamaIndexChatModel
from cairn.inference.chat.text_stream import Channel, TextStream
from cairn.settings import Environment

logger = logging.getLogger(__name__)


class RemoteChat:
    """Requests run in an event loop, where closing a stream ends its connection at once, even before the
    first token."""

    def __init__(self, environment: Environment) -> None:
        urls = environment.llm_base_urls
        if not environment.llm_model:
            raise ConfigurationError(
                "LLM_BASE_URL needs LLM_MODEL: the name under which the server serves its model"
            )
        self._loop = BackgroundLoop("chat-requests")
        # Where there is another server it is asked at once; a single one is asked again after a moment.
        self.endpoints = [Endpoint(url, environment, retries=int(len(urls) == 1)) for url in urls]
        self._admission = Admission(self.endpoints, seconds=environment.llm_queue_timeout_seconds)
        self._pause = environment.llm_breaker_seconds
        self._recoveries: set[asyncio.Task[None]] = set()

    @property
    def chat_model(self) -> LlamaIndexChatModel:
        llm = self.endpoints[0].llm
        return LlamaIndexChatModel(
            llm.model,
            llm.context_window,
            llm,
            opener=partial(self.open_stream, priority=Priority.CHAT),
            background_opener=partial(self.open_stream, priority=Priority.BACKGROUND),
            probe=self.probe,
            closer=self.close,
        )

    def open_stream(
        self, messages: Sequence[ChatMessage], max_tokens: int, *, priority: Priority
    ) -> TextStream:
        return self._start_stream(lambda channel: self._answer(channel, messages, max_tokens, priority))

    def probe(self) -> None:
        """Raises the error of one of the servers if none of them writes a token."""
        with self._start_stream(self._probe_all) as answer:
            for _ in answer:
                pass

    def close(self) -> None:
        self._loop.close(finally_=self._close)

    def _start_stream(self, work: Any) -> TextStream:
        channel = Channel()
        request = self._loop.start(work(channel))
        request.add_done_callback(lambda done: channel.end(_ending(done)))
        channel.on_close(lambda: _cancel(request))
        return TextStream(channel)

    async def _answer(
        self, channel: Channel, messages: Sequence[ChatMessage], max_tokens: int, priority: Priority
    ) -> None:
        """Answer, switching to another server if the first fails before it has written anything."""
        tried, failure = list[Endpoint](), None
        while True:
            try:
                endpoint = await self._admission.take(priority, on_place=channel.wait_at, avoids=tried)
            except Unavailable as nobody:
                channel.end(failure or nobody)
                return
            try:
                begun, failed = await self._forward_pieces(endpoint, channel, messages, max_tokens)
            finally:
                self._admission.leave(endpoint)
            if failed is None:
                return
            tried, failure = [*tried, endpoint], failed.error
            if begun or not failed.elsewhere:
                channel.end(failure)
                return

    async def _forward_pieces(
        self, endpoint: Endpoint, channel: Channel, messages: Sequence[ChatMessage], max_tokens: int
    ) -> tuple[bool, EndpointFailed | None]:
        """Return whether the server has written anything, and its failure, if any."""
        begun = False
        try:
            async with aclosing(endpoint.pieces(messages, max_tokens)) as pieces:
                async for piece in pieces:
                    begun = True
                    channel.put(piece)
        except EndpointFailed as failure:
            self._record_failure(endpoint, failure)
            return begun, failure
        self._record_success(endpoint)
        return begun, None

    def _record_success(self, endpoint: Endpoint) -> None:
        """An answer that began before the breaker opened does not close it."""
        if endpoint.breaker.lets_through:
            endpoint.breaker.record_success()

    def _record_failure(self, endpoint: Endpoint, failure: EndpointFailed) -> None:
        logger.warning("%s", failure)
        hangs = failure.cause == TIMEOUT  # the next one would wait as long
        if not failure.broken or not endpoint.breaker.record_failure(failure.error.message, at_once=hangs):
            return
        logger.error("%s is skipped for now. Failures in a row: %s", endpoint.url, endpoint.breaker.failures)
        metrics.record_breaker_state(endpoint.name, endpoint.breaker.state)
        self._admission.reassign_waiting()
        recovery = asyncio.get_running_loop().create_task(self._recover(endpoint))
        self._recoveries.add(recovery)
        recovery.add_done_callback(self._recoveries.discard)

    async def _recover(self, endpoint: Endpoint) -> None:
        """Send a tiny request from time to time until one succeeds."""
        while not endpoint.breaker.lets_through:
            await asyncio.sleep(self._pause)
            if not endpoint.breaker.lets_through:
                endpoint.breaker.try_again()
                metrics.record_breaker_state(endpoint.name, endpoint.breaker.state)
                await self._probe(endpoint)

    async def _probe(self, endpoint: Endpoint) -> CairnError | None:
        """Return the error of the server, if any. A token closes its breaker."""
        try:
            await endpoint.probe()
        except EndpointFailed as failure:
            self._record_failure(endpoint, failure)
            problem: CairnError | None = failure.error
        else:
            problem = None
            endpoint.breaker.record_success()
        metrics.record_breaker_state(endpoint.name, endpoint.breaker.state)
        self._admission.reassign_waiting()
        return problem

    async def _probe_all(self, channel: Channel) -> None:
        problems = await asyncio.gather(*map(self._probe, self.endpoints))
        if all(problems):
            channel.end(problems[0])

    async def _close(self) -> None:
        for endpoint in self.endpoints:
            await endpoint.close()


def _ending(request: Future[None]) -> CairnError | None:
    if request.cancelled():
        return Unavailable("The request to the language model was stopped")
    if (error := request.exception()) is not None:
        logger.error("unexpected error in a request to the language model", exc_info=error)
        return Unavailable("The request to the language model could not be made")
    return None


def _cancel(request: Future[None]) -> None:
    request.cancel()
