"""HTTP servers of tests, which run in a thread for as long as a block."""

import socketserver
import threading
from types import TracebackType
from typing import Self


class SilentRequests:
    """Added to a class of `http.server`, writes no line to standard error for each request."""

    def log_message(self, *_arguments: object) -> None:
        pass


class ThreadedServer:
    """Serves from entering a block until its end. `server` isn't serving yet."""

    def __init__(self, server: socketserver.BaseServer, poll_seconds: float = 0.02) -> None:
        self._listener = server
        self._thread = threading.Thread(target=server.serve_forever, args=(poll_seconds,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()
