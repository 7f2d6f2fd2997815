"""A load balancer in front of HTTP servers: it sends requests only to ready ones, and can delay and cut them.

Each request gets a connection of its own, so that it goes to a server that is ready then.
"""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

import httpx

LOOK_SECONDS: Final = 0.25
_BLOCK: Final = 1 << 16
_HEAD: Final = 1 << 16
_UNAVAILABLE: Final = b"\r\n".join(
    [
        b"HTTP/1.1 503 Service Unavailable",
        b"Content-Type: application/problem+json",
        b"Retry-After: 1",
        b"Content-Length: 2",
        b"Connection: close",
        b"",
        b"{}",
    ]
)
_PER_HOP: Final = (b"connection:", b"keep-alive:", b"x-forwarded-for:", b"x-forwarded-proto:")


class Faults:
    """Network faults.

    `delay`: seconds before each block in either direction. `cut_after`: bytes of a response after which the
    connection breaks. `deaf`: accepts connections but never responds.
    """

    delay: float = 0.0
    cut_after: int | None = None
    deaf: bool = False


class Balancer:
    """`servers` are host:port. `checked`: only servers whose /readyz succeeds get requests."""

    def __init__(self, servers: Sequence[str], *, port: int = 0, checked: bool = True) -> None:
        self.faults = Faults()
        self.ready: set[str] = set() if checked else set(servers)
        self._servers = list(servers)
        self._checked = checked
        self._port = port
        self._turn = itertools.count()
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="balancer", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join()

    def serve(self, servers: Sequence[str]) -> None:
        """Others than before."""
        self._servers = list(servers)

    def cut(self) -> None:
        """Every connection that is open breaks."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    def _end(self) -> None:
        self._cut()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._serve())
            while left := asyncio.all_tasks(self._loop):
                self._loop.run_until_complete(asyncio.wait(left))
        finally:
            self._listening.set()
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", self._port, limit=_HEAD, backlog=1024)
        self._port = server.sockets[0].getsockname()[1]
        self._listening.set()
        async with server, httpx.AsyncClient(timeout=10, trust_env=False) as client:
            while True:
                if self._checked:
                    await asyncio.gather(*(self._look(client, each) for each in list(self._servers)))
                await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, client: httpx.AsyncClient, server: str) -> None:
        try:
            answer = await client.get(f"http://{server}/readyz?part=process", headers={"Connection": "close"})
            ready = answer.status_code == httpx.codes.OK
        except httpx.TimeoutException:
            return  # busy is not away
        except httpx.HTTPError:
            ready = False
        (self.ready.add if ready else self.ready.discard)(server)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._exchange(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            writer.transport.abort()  # a task that ends as cancelled would be reported as a fault of ours
        finally:
            self._open.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.faults.deaf:
            await reader.read()
            return
        head = await reader.readuntil(b"\r\n\r\n")
        upstream = await self._connect()
        if upstream is None:
            writer.write(_UNAVAILABLE)
            await writer.drain()
            return
        answers, asks = upstream
        self._open.add(asks)
        asks.write(_forwarded(head, writer.get_extra_info("peername")[0]))
        sending = asyncio.create_task(self._pipe(reader, asks, None))
        try:
            await self._pipe(answers, writer, self.faults.cut_after)
        finally:
            sending.cancel()
            self._open.discard(asks)
            asks.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Connect to the next ready server, or another one if it doesn't respond.

        If none is ready, any server gets the request, since it can report what is missing.
        """
        ready = [each for each in self._servers if each in self.ready] or self._servers
        start = next(self._turn)
        for place in range(len(ready)):
            host, _, port = ready[(start + place) % len(ready)].rpartition(":")
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(host, int(port))
        return None

    async def _pipe(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, most: int | None
    ) -> None:
        passed = 0
        while block := await source.read(_BLOCK):
            if self.faults.delay:
                await asyncio.sleep(self.faults.delay)
            passed += len(block)
            if most is not None and passed > most:
                target.write(block[: len(block) - (passed - most)])
                await target.drain()
                raise ConnectionAbortedError
            target.write(block)
            await target.drain()


def _forwarded(head: bytes, client: str) -> bytes:
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith(_PER_HOP)]
    ours = [b"Connection: close", b"X-Forwarded-For: " + client.encode(), b"X-Forwarded-Proto: http"]
    return b"\r\n".join([first, *kept, *ours]) + b"\r\n\r\n"
