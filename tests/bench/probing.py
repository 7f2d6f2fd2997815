"""Measures how long a server delays a small request.

`python -m tests.bench.probing HOST PORT` runs until stdin closes.

`/healthz` goes the way of every request, through a thread. What announces a body that is too large is
refused in the event loop itself, so its time is how long the loop was not free.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from tests.bench import server as servers

EVERY: Final = 0.01  # seconds
REQUESTS: Final = {
    "healthz": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "loop": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
}
STATUS: Final = {"healthz": b"200", "loop": b"413"}


class Probes:
    """Milliseconds by kind, once it has ended."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}


@contextmanager
def probing(url: str) -> Iterator[Probes]:
    """Measure in a process of its own, which waits only for the server."""
    address, probes = urlsplit(url), Probes()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.probing", str(address.hostname), str(address.port)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=servers.ROOT,
    )  # fmt: skip
    try:
        yield probes
    finally:
        told, _ = process.communicate(timeout=60)
    probes.times = json.loads(told)


async def probe(host: str, port: int, kind: str) -> float:
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(REQUESTS[kind])
    line = await reader.readline()
    took = (time.perf_counter() - began) * 1000
    writer.close()
    assert line.split()[1] == STATUS[kind], line
    return took


async def _again_and_again(host: str, port: int, kind: str, ended: asyncio.Event) -> list[float]:
    times = list[float]()
    while not ended.is_set():
        times.append(await probe(host, port, kind))
        await asyncio.sleep(EVERY)
    return times


async def probed(host: str, port: int) -> dict[str, list[float]]:
    ended = asyncio.Event()
    asking = [asyncio.create_task(_again_and_again(host, port, kind, ended)) for kind in REQUESTS]
    await asyncio.to_thread(sys.stdin.read)
    ended.set()
    return dict(zip(REQUESTS, await asyncio.gather(*asking), strict=True))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(probed(sys.argv[1], int(sys.argv[2])))))
