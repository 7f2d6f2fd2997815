"""Many people who ask at the same moment, while a small request shows how long the server lets it wait."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from tests.bench import server as servers
from tests.bench.figures import Figure, percentile
from tests.bench.handbook import handbook_install
from tests.bench.probing import Probes, probing
from tests.bench.questions import many

PEOPLE: Final = 50
ROUNDS: Final = 3
RETRIEVAL_MS: Final = 500
BLOCKED_MS: Final = 50
REST_SECONDS: Final = 3


@dataclass(frozen=True, slots=True)
class Heard:
    """Timings of one question. `done`: the Answer, or None after an error."""

    done: dict[str, Any] | None
    first_seconds: float | None


def crowd_figures(folder: Path) -> Iterator[Figure]:
    data_dir = handbook_install(folder)
    server = servers.start(data_dir)
    try:
        with servers.client(server, data_dir) as api:
            asyncio.run(crowd(server.url, api.headers, many()[:3]))
            with probing(server.url) as quiet:
                time.sleep(REST_SECONDS)
            heard, busy = _asked(server.url, api.headers)
    finally:
        server.stop()
    yield from _told(heard)
    yield from _waits("at rest", quiet, None)
    yield from _waits(f"while {PEOPLE} ask", busy, BLOCKED_MS)


def _asked(url: str, headers: httpx.Headers) -> tuple[list[Heard], Probes]:
    questions = many()
    heard = list[Heard]()
    with probing(url) as probes:
        for turn in range(ROUNDS):
            heard += asyncio.run(crowd(url, headers, questions[turn * PEOPLE : (turn + 1) * PEOPLE]))
    return heard, probes


async def crowd(url: str, headers: httpx.Headers, questions: Sequence[str]) -> list[Heard]:
    """Ask concurrently, each over a connection of its own."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=300, limits=limits) as api:
        return await asyncio.gather(*(ask(api, question) for question in questions))


async def ask(api: httpx.AsyncClient, question: str) -> Heard:
    began, first, event, done = time.perf_counter(), None, "", None
    async with api.stream("POST", "/api/v1/ask", json={"question": question, "stream": True}) as answer:
        if answer.status_code != httpx.codes.OK:
            return Heard(None, None)
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
            if event == "delta" and first is None:
                first = time.perf_counter() - began
            if event == "done" and line.startswith("data: "):
                done = json.loads(line.removeprefix("data: "))
    return Heard(done, first)


def _told(heard: Sequence[Heard]) -> Iterator[Figure]:
    answers = [each.done for each in heard if each.done is not None]
    retrieval = [answer["timings"]["retrieval_ms"] for answer in answers]
    firsts = [each.first_seconds for each in heard if each.first_seconds is not None]
    yield Figure(f"{PEOPLE} ask at once, {ROUNDS} times: errors", len(heard) - len(answers), "answers", 0)
    yield Figure("answered, not refused", sum(a["verdict"] != "refused" for a in answers), f"of {len(heard)}")
    yield Figure("retrieval, p50", percentile(retrieval, 0.5), "ms")
    yield Figure("retrieval, p95", percentile(retrieval, 0.95), "ms", RETRIEVAL_MS)
    yield Figure("first words, p50", percentile(firsts, 0.5), "s")
    yield Figure("first words, p95", percentile(firsts, 0.95), "s")
    yield Figure(
        "whole answer, p95", percentile([a["timings"]["total_ms"] for a in answers], 0.95) / 1000, "s"
    )


def _waits(when: str, probes: Probes, target: float | None) -> Iterator[Figure]:
    for kind, name in (("loop", "event loop"), ("healthz", "GET /healthz")):
        times = probes.times[kind]
        yield Figure(f"{name} answers after, {when}, p99", percentile(times, 0.99), "ms", target)
        yield Figure(f"{name} answers after, {when}, longest", max(times), "ms", target)
