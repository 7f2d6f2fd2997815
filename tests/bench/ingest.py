"""Measures how fast documents become searchable, compared with the encoder alone on the same chunks.

`python -m tests.bench.ingest [--json FILE] [--only speed growth large changed]`. All figures that are
compared come from one run on one machine. Needs SAMPLE_DATA.
"""

import argparse
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
import pypdfium2
from rich.console import Console

from ingestion.parse.sandbox.pool import Limits, ParserPool
from tests.bench import server as servers
from tests.bench.encoders import chunk_texts, our_rate, plain_rate
from tests.bench.figures import Figure, percentile, show
from tests.bench.filling import fill
from tests.bench.questions import HANDBOOK
from tests.servers import working_process

SAMPLE_DATA = Path(os.environ.get("SAMPLE_DATA", servers.ROOT.parent / "shared" / "data"))
LARGE_PAGES = 400
FEW, MANY = 1_000, 50_000
ROUNDS = 3
QUIET = {"SAMPLE_KNOWLEDGE_BASE": "false"}
_LOOK = 0.05


def _files() -> list[str]:
    return [str(SAMPLE_DATA / "handbook"), *map(str, _reports())]


class Usage:
    """CPU seconds of a process and of its children, dead ones included, between two looks."""

    def __init__(self, process: int) -> None:
        self._process = psutil.Process(process)
        self._before = self._now()

    def _now(self) -> tuple[float, float]:
        own = self._process.cpu_times()
        children = [child.cpu_times() for child in self._process.children(recursive=True)]
        living = sum(times.user + times.system for times in children)
        return own.user + own.system, own.children_user + own.children_system + living

    def seconds(self) -> tuple[float, float]:
        own, children = self._now()
        return own - self._before[0], children - self._before[1]


def ingested(data_dir: Path, slug: str, paths: list[str]) -> tuple[dict[str, Any], float]:
    """Run the command; return its output and its duration in seconds."""
    began = time.perf_counter()
    told = servers.manage(data_dir, "ingest", *paths, "--kb", slug, "--wait")
    return told, time.perf_counter() - began


@dataclass(frozen=True, slots=True)
class Round:
    """An import into a new data folder, and then the encoder alone with the same chunks."""

    ready: int
    chunks: list[str]
    seconds: float
    main: float
    parsers: float
    peak: float
    alone: float

    @classmethod
    def run(cls, data_dir: Path) -> "Round":
        data_dir.mkdir()
        with started(data_dir) as server:
            usage = Usage(working_process(server.process.pid).pid)
            told, seconds = ingested(data_dir, "all", _files())
            main, parsers = usage.seconds()
            peak, _ = server.memory_mb()
        chunks = chunk_texts(data_dir, "all")
        return cls(told["ready"], chunks, seconds, main, parsers, peak, len(chunks) / our_rate(chunks))


def speed(data_dir: Path) -> Iterator[Figure]:
    """Measure in rounds, since the speed of a shared machine varies."""
    rounds = [Round.run(data_dir / str(number)) for number in range(ROUNDS)]
    texts = rounds[-1].chunks
    rate = len(texts) / fmean(one.seconds for one in rounds)
    ours, plain = len(texts) / fmean(one.alone for one in rounds), plain_rate(texts)
    pages, reading = pdf_rate()
    yield Figure("documents ready", rounds[-1].ready, "documents")
    yield Figure("chunks", len(texts), "chunks")
    for number, one in enumerate(rounds, 1):
        yield Figure(f"round {number}: from files to searchable", one.seconds, "s")
        yield Figure(f"round {number}: the encoder alone", one.alone, "s")
    yield Figure("CPU seconds: the process that embeds and indexes", fmean(one.main for one in rounds), "s")
    yield Figure("CPU seconds: the processes that read files", fmean(one.parsers for one in rounds), "s")
    yield Figure("memory of the process after it", max(one.peak for one in rounds), "MB", 3000)
    yield Figure("end to end", rate, "chunks/s")
    yield Figure("the encoder alone, same chunks", ours, "chunks/s")
    yield Figure("plain sentence-transformers fp32, same chunks", plain, "chunks/s")
    yield Figure("end to end / encoder alone", rate / ours, "ratio", 0.8, more_is_better=True)
    yield Figure("encoder alone / plain fp32", ours / plain, "ratio", 2, more_is_better=True)
    yield Figure("PDF: one parser process", pages / reading, "pages/s", 20, more_is_better=True)
    yield Figure("PDF: pypdfium2's text alone", pages / bare_pdf_seconds(), "pages/s")


def _reports() -> list[Path]:
    return sorted((SAMPLE_DATA / "sec-10-q").rglob("*.pdf"))


def pdf_rate() -> tuple[int, float]:
    pool = ParserPool(size=1)
    try:
        pool.warm()
        began = time.perf_counter()
        read = [pool.parse(path, path.name, limits=Limits()).rendition.pages or 0 for path in _reports()]
        return sum(read), time.perf_counter() - began
    finally:
        pool.close()


def bare_pdf_seconds() -> float:
    began = time.perf_counter()
    for path in _reports():
        with pypdfium2.PdfDocument(path) as document:
            for page in document:
                page.get_textpage().get_text_range()
    return time.perf_counter() - began


def growth(data_dir: Path) -> Iterator[Figure]:
    """Measure the time per chunk in a small and in a large index, and of searches during ingestion."""
    few, _ = per_chunk(data_dir, "few", size=FEW)
    many, waits = per_chunk(data_dir, "many", size=MANY)
    yield Figure(f"time per chunk at {FEW:,} chunks", few * 1000, "ms")
    yield Figure(f"time per chunk at {MANY:,} chunks", many * 1000, "ms")
    yield Figure(f"time per chunk: {MANY:,} / {FEW:,}", many / few, "ratio", 1.2)
    rest, busy = (percentile(times, 0.95) for times in waits)
    yield Figure("search p95 at rest", rest, "ms")
    yield Figure("search p95 during a bulk import", busy, "ms")
    yield Figure("search p95: import / rest", busy / rest, "ratio", 3)


def per_chunk(data_dir: Path, name: str, *, size: int) -> tuple[float, tuple[list[float], list[float]]]:
    """Return the seconds per chunk of the handbook on top of `size` chunks, and search times at rest and
    during it."""
    own = data_dir / name
    with started(own):
        pass
    fill(own, size)
    with started(own) as server, servers.client(server, own) as api:
        rest = search_times(api, until=None)
        done = threading.Event()
        busy: list[float] = []
        asking = threading.Thread(target=lambda: busy.extend(search_times(api, until=done)))
        asking.start()
        began = time.perf_counter()
        ingested(own, "handbook", [str(SAMPLE_DATA / "handbook")])
        seconds = time.perf_counter() - began
        done.set()
        asking.join()
    return seconds / len(chunk_texts(own, "handbook")), (rest, busy)


def search_times(api: httpx.Client, *, until: threading.Event | None) -> list[float]:
    """Return the milliseconds of each request: for three rounds, or until stopped; at most ten per second."""
    times: list[float] = []
    rounds = 0
    while (rounds < 3) if until is None else not until.is_set():
        for question in HANDBOOK:
            began = time.perf_counter()
            api.post("/api/v1/search", json={"query": question}).raise_for_status()
            times.append((time.perf_counter() - began) * 1000)
            time.sleep(0.1)
        rounds += 1
    return times[5:]


def large(data_dir: Path) -> Iterator[Figure]:
    path = large_pdf(data_dir)
    with started(data_dir / "large") as server, servers.client(server, data_dir / "large") as api:
        base = api.post("/api/v1/knowledge-bases", json={"name": "Large"}).raise_for_status().json()
        began = time.perf_counter()
        with path.open("rb") as stream:
            answer = api.post(f"/api/v1/knowledge-bases/{base['id']}/documents", files={"file": stream})
        job = answer.raise_for_status().json()["job"]["id"]
        seen, peak = _followed(api, job, server)
    yield Figure(f"a PDF of {LARGE_PAGES} pages: progress seen after", seen - began, "s", 5)
    yield Figure("peak memory of its parser", peak, "MB", 1024)
    yield Figure("searchable after", time.perf_counter() - began, "s")


def _followed(api: httpx.Client, job: str, server: servers.Server) -> tuple[float, float]:
    """Return when `done` was first above zero, and the peak memory of the parser in MB."""
    seen, peak = 0.0, 0.0
    while True:
        now = api.get(f"/api/v1/jobs/{job}").raise_for_status().json()
        peak = max(peak, server.largest_child_mb())
        if not seen and (now["done"] or now["stage"] in {"ready", "failed"}):
            seen = time.perf_counter()
        if now["stage"] in {"ready", "failed", "cancelled"}:
            assert now["stage"] == "ready", now
            return seen, peak
        time.sleep(_LOOK)


def large_pdf(folder: Path) -> Path:
    """Pages of the quarterly reports, again and again."""
    target = pypdfium2.PdfDocument.new()
    while len(target) < LARGE_PAGES:
        for path in _reports():
            with pypdfium2.PdfDocument(path) as source:
                target.import_pages(source, list(range(min(len(source), LARGE_PAGES - len(target)))))
    path = folder / "large.pdf"
    target.save(path)
    return path


def changed(data_dir: Path) -> Iterator[Figure]:
    """A long document, and the same with another sentence in the middle."""
    path = data_dir / "handbook.md"
    pages = [page.read_text() for page in sorted((SAMPLE_DATA / "handbook").rglob("*.md"))]
    own = data_dir / "changed"
    with started(own):
        path.write_text("\n\n".join(pages))
        _, first = ingested(own, "handbook", [str(path)])
        pages[len(pages) // 2] += "\n\nThis was added later.\n"
        path.write_text("\n\n".join(pages))
        _, second = ingested(own, "handbook", [str(path)])
    yield Figure("a document of so many chunks", len(chunk_texts(own, "handbook")), "chunks")
    yield Figure("its first version is searchable after", first, "s")
    yield Figure("the next one, with one sentence more", second, "s")
    yield Figure("the next one / the first", second / first, "ratio")


@contextmanager
def started(data_dir: Path) -> Iterator[servers.Server]:
    os.environ["DATA_DIR"] = str(data_dir)
    server = servers.start(data_dir)
    try:
        yield server
    finally:
        server.stop()


PARTS = {"speed": speed, "growth": growth, "large": large, "changed": changed}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-ingest", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    chosen = parser.parse_args()
    if not (SAMPLE_DATA / "handbook").is_dir():
        raise SystemExit(f"There is no handbook in {SAMPLE_DATA}: set SAMPLE_DATA.")
    os.environ.update(QUIET)
    figures: list[Figure] = []
    with TemporaryDirectory(prefix="cairn-bench-") as folder:
        for name in chosen.only:
            own = Path(folder) / name
            own.mkdir()
            figures += PARTS[name](own)
    show(figures, Console(), file=chosen.json)


if __name__ == "__main__":
    main()
