"""The web server, in a thread of its own."""

import asyncio
import errno
import ipaddress
import logging
import math
import socket
import sys
import threading

import uvicorn

from cairn.errors import ConfigurationError, Unavailable

_LOOK_SECONDS = 0.02
_SWITCH_SECONDS = (
    0.001  # the event loop waits so long for each thread that computes; by default five times that
)
OPEN_STREAMS_SECONDS = 2  # for running answers to end, once the server stops


def listen(host: str, port: int) -> socket.socket:
    """Open the listener. Raises ConfigurationError if the address is unavailable; port 0 takes a free one."""
    try:
        return _listener(host, port)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot serve on {host}:{port}: {error.strerror or error}. "
            "Choose another address with --host and --port."
        ) from error


def _listener(host: str, port: int) -> socket.socket:
    if not 0 <= port < 1 << 16:  # the system would take the remainder
        raise OSError(errno.EINVAL, "there is no such port")
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except BaseException:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the listener's URL for this machine."""
    host, port = listener.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"


class WebServer:
    """The server. `patience`: additional seconds for requests when it stops."""

    def __init__(self, listener: socket.socket, *, patience: float = 0) -> None:
        config = uvicorn.Config(
            "cairn.asgi:application",
            http="h11",  # httptools, taken if it happens to be installed, is laxer about framing
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the application knows itself which proxies to believe
            timeout_graceful_shutdown=OPEN_STREAMS_SECONDS + math.ceil(patience),
        )
        self._listener = listener
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._listener]))

    def start(self) -> None:
        """Start serving. Raises Unavailable if it cannot; the log has the reason."""
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise Unavailable("The web server could not start.")
            self._thread.join(_LOOK_SECONDS)

    def refuse(self) -> None:
        """Stop accepting connections, and finish the open ones."""
        # It would report each stream that it cuts off, with a trace.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._server.should_exit = True

    def wait_ended(self, timeout: float) -> bool:
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def stop(self, timeout: float) -> None:
        self.refuse()
        if self._thread.is_alive():
            self._thread.join(timeout)
        self._listener.close()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()
