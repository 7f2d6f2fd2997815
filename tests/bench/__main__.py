"""Speed and memory of an embedded install, as a table and as JSON.

`python -m tests.bench [--json FILE]`. Each figure stands beside its target, and beside what the bare
library does with the same work in the same run.
"""

import argparse
import os
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from rich.console import Console

from tests.bench import server as servers
from tests.bench.encoders import chunk_texts, our_rate, plain_rate
from tests.bench.figures import Figure, percentile, show
from tests.bench.questions import HANDBOOK

SAMPLE_DATA = Path(os.environ.get("SAMPLE_DATA", servers.ROOT.parent / "shared" / "data"))
SEARCH_ROUNDS = 5
ASKED = 10


def search_times(api: httpx.Client) -> list[float]:
    """Milliseconds of each request, the first round left out."""
    times = []
    for turn in range(SEARCH_ROUNDS + 1):
        for question in HANDBOOK:
            began = time.perf_counter()
            api.post("/api/v1/search", json={"query": question}).raise_for_status()
            if turn:
                times.append((time.perf_counter() - began) * 1000)
    return times


def first_token_seconds(api: httpx.Client, question: str) -> float | None:
    """Return the seconds until the first `delta`, or None for a refusal, which has none."""
    began = time.perf_counter()
    body = {"question": question, "stream": True}
    first = None
    with api.stream("POST", "/api/v1/ask", json=body) as answer:
        for line in answer.iter_lines():
            if first is None and line == "event: delta":
                first = time.perf_counter() - began
    return first


def starts(data_dir: Path) -> tuple[list[Figure], servers.Server]:
    first = servers.start(data_dir)
    stopped = first.stop()
    again = servers.start(data_dir)
    return [
        Figure("first start, installed", first.seconds, "s"),
        Figure("next start", again.seconds, "s", 15),
        Figure("clean end", stopped, "s", 5),
    ], again


def memory(server: servers.Server) -> list[Figure]:
    main, children = server.memory_mb()
    return [
        Figure("idle memory of the process", main, "MB", 2500),
        Figure("idle memory of its parser processes", children, "MB"),
    ]


def ingestion(data_dir: Path) -> list[Figure]:
    began = time.perf_counter()
    done = servers.manage(data_dir, "ingest", str(SAMPLE_DATA / "handbook"), "--kb", "handbook", "--wait")
    seconds = time.perf_counter() - began
    texts = chunk_texts(data_dir, "handbook")
    ours, plain = our_rate(texts), plain_rate(texts)
    return [
        Figure("handbook: documents ready", done["ready"], "documents", 238, more_is_better=True),
        Figure("handbook: from files to searchable", seconds, "s", 90),
        Figure("handbook: chunks", len(texts), "chunks"),
        Figure("handbook: throughput", len(texts) / seconds, "chunks/s"),
        Figure("the encoder alone, same chunks", ours, "chunks/s"),
        Figure("plain sentence-transformers fp32, same chunks", plain, "chunks/s"),
        Figure("throughput / encoder alone", len(texts) / seconds / ours, "ratio"),
        Figure("encoder alone / plain fp32", ours / plain, "ratio"),
    ]


def questions(api: httpx.Client) -> list[Figure]:
    times = search_times(api)
    asked = [first_token_seconds(api, question) for question in HANDBOOK[:ASKED]]
    firsts = [seconds for seconds in asked if seconds is not None]
    return [
        Figure("search over REST, p50", percentile(times, 0.5), "ms", 40),
        Figure("search over REST, p95", percentile(times, 0.95), "ms", 100),
        Figure("first token of an answer, p50", statistics.median(firsts), "s", 2.5),
        Figure("questions answered, not refused", len(firsts), f"of {ASKED}"),
    ]


def measure(data_dir: Path) -> list[Figure]:
    figures, server = starts(data_dir)
    try:
        figures += memory(server)
        if (SAMPLE_DATA / "handbook").is_dir():
            figures += ingestion(data_dir)
            with servers.client(server, data_dir) as api:
                figures += questions(api)
            main, _ = server.memory_mb()
            figures.append(Figure("memory of the process after the run", main, "MB"))
    finally:
        server.stop()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    chosen = parser.parse_args()
    console = Console()
    if not (SAMPLE_DATA / "handbook").is_dir():
        console.print(f"No handbook in {SAMPLE_DATA}: ingestion and search are not measured.")
    with TemporaryDirectory(prefix="cairn-bench-") as folder:
        os.environ["DATA_DIR"] = folder  # for the encoder that this process loads beside the server's
        figures = measure(Path(folder))
    show(figures, console, file=chosen.json)


if __name__ == "__main__":
    main()
