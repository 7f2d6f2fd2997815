"""An event loop in a thread of its own, for requests that must be stoppable while they wait."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

from cairn.errors import Unavailable


class BackgroundLoop:
    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        """Run `work` in the loop. Cancelling the returned future cancels it."""
        if self._loop.is_closed():
            work.close()
            raise Unavailable("The language model was stopped")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self, *, finally_: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancel all running work, wait for its clean-up, and await `finally_` in the loop."""
        if self._loop.is_closed():
            return
        self.start(_cancel_others()).result()
        self.start(finally_()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
