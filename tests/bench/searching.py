"""Search over REST, by a user who has access through a group, compared with the bare libraries."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from cairn.access.scope import EVERY_READER, group_token, user_token
from cairn.inference.registry import embedder
from retrieval.index.filters import KNOWLEDGE_BASE, READERS
from tests.bench import server as servers
from tests.bench.bare import BareSearch
from tests.bench.figures import Figure, percentile
from tests.bench.filling import fill
from tests.bench.questions import many

FEW, MANY = 10_000, 100_000
READER: Final = "reader"
WARM_UP: Final = 40
BATCH: Final = 10  # questions that one of them gets in a row

Ask = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Sides:
    """The same questions to both. `whole` waits for the answer of a server, `bare` runs in this process."""

    whole: Ask
    bare: Ask


def search_figures(data_dir: Path, few: int = FEW, many_chunks: int = MANY) -> Iterator[Figure]:
    """Both sizes and both sides take turns, so that they share what else the machine does."""
    installs = {size: data_dir / str(size) for size in (few, many_chunks)}
    _install(list(installs.values()))
    with ExitStack() as stack:
        sides = {size: _sides(stack, folder, size) for size, folder in installs.items()}
        asks = {
            (size, name): getattr(each, name) for size, each in sides.items() for name in ("whole", "bare")
        }
        times = timed(asks, many())
    for size in installs:
        for side, name in (("whole", "over REST"), ("bare", "bare: query embedding and Edge's hybrid query")):
            yield Figure(f"search at {size:,} chunks, {name}, p50", percentile(times[size, side], 0.5), "ms")
            yield Figure(f"search at {size:,} chunks, {name}, p95", percentile(times[size, side], 0.95), "ms")
    yield _ratio(
        f"p50 at {many_chunks:,}: REST / bare",
        times[many_chunks, "whole"],
        times[many_chunks, "bare"],
        0.5,
        1.3,
    )
    yield _ratio(
        f"p95 over REST: {many_chunks:,} / {few:,}", times[many_chunks, "whole"], times[few, "whole"], 0.95, 2
    )


def _ratio(name: str, above: Sequence[float], below: Sequence[float], share: float, target: float) -> Figure:
    return Figure(name, percentile(above, share) / percentile(below, share), "ratio", target)


def timed(asks: dict[tuple[int, str], Ask], questions: Sequence[str]) -> dict[tuple[int, str], list[float]]:
    """Milliseconds of each question to each; all are asked everything."""
    for question in questions[:WARM_UP]:
        for ask in asks.values():
            ask(question)
    times: dict[tuple[int, str], list[float]] = {name: [] for name in asks}
    for start in range(0, len(questions), BATCH):
        for name, ask in asks.items():
            times[name] += [_milliseconds(ask, question) for question in questions[start : start + BATCH]]
    return times


def _milliseconds(ask: Ask, question: str) -> float:
    began = time.perf_counter()
    ask(question)
    return (time.perf_counter() - began) * 1000


def _install(folders: Sequence[Path]) -> None:
    """A first start takes long; the others are copies of it."""
    servers.start(folders[0]).stop()
    for folder in folders[1:]:
        shutil.copytree(folders[0], folder)


def _sides(stack: ExitStack, data_dir: Path, size: int) -> Sides:
    fill(data_dir, size)
    copy = data_dir / "copy"  # the server has the index to itself
    shutil.copytree(next((data_dir / "index").iterdir()), copy)
    server = servers.start(data_dir)
    stack.callback(server.stop)
    with servers.client(server, data_dir) as admin:
        allowed = _reader_added(admin)
    reader = stack.enter_context(servers.client(server, data_dir, user=READER))
    bare = BareSearch(copy, embedder(), allowed)
    stack.callback(bare.close)
    return Sides(lambda question: _found(reader, question), bare)


def _found(api: httpx.Client, question: str) -> object:
    return api.post("/api/v1/search", json={"query": question}).raise_for_status().json()["results"]


def _reader_added(admin: httpx.Client) -> dict[str, list[str]]:
    """Add a user without admin rights who reads everything through a group, as the filter of the index
    expects."""
    user = admin.post("/api/v1/users", json={"username": READER}).raise_for_status().json()["id"]
    body = {"name": "Readers", "members": [user]}
    group = admin.post("/api/v1/groups", json=body).raise_for_status().json()["id"]
    bases = [base["id"] for base in admin.get("/api/v1/knowledge-bases").raise_for_status().json()["items"]]
    for base in bases:
        grants = [{"subject": f"group:{group}", "role": "reader"}]
        admin.put(f"/api/v1/knowledge-bases/{base}/grants", json=grants).raise_for_status()
    return {KNOWLEDGE_BASE: bases, READERS: [EVERY_READER, user_token(user), group_token(group)]}
