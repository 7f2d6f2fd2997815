"""`make bench-load`: people who chat on two web processes of a cluster, with a model of realistic timing.

Each reads an answer for a while before the next question. What is counted as Cairn's own is the time to the
first words less the time in which the model has written them, by the model server's own record: Cairn shows
sentences that it has checked.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
from rich.console import Console

from tests.bench.figures import Figure, percentile, show
from tests.bench.handbook import SAMPLE_DATA
from tests.bench.plots import Plot, plot_write
from tests.bench.questions import many
from tests.bench.served_model import SECONDS_PER_WORD, served_model
from tests.bench.spoken import Spoken, models_own, spoken_by
from tests.cluster.processes import Cluster

FIRST_TOKEN: Final = 0.3
OWN_MS, GATEWAY_MS = 150, 30
QUESTIONS_IN_A_CHAT: Final = 4
LOOK_SECONDS: Final = 5.0
GATEWAY_TIMES: Final = 30
WARM: Final = 6


@dataclass(frozen=True, slots=True)
class Heard:
    """Timings of one question. `at`: seconds since the start. `first`: the first text shown, and when."""

    at: float
    asked: float
    first: tuple[str, float] | None = None
    error: str = ""

    def own_ms(self, spoken: Sequence[Spoken]) -> float | None:
        """Return the part of the time to the first words that was not the model's."""
        if self.first is None:
            return None
        sentence, shown = self.first
        model = models_own(spoken, sentence, self.asked, shown)
        return None if model is None else (shown - self.asked - model) * 1000


@dataclass(slots=True)
class Course:
    began: float = field(default_factory=time.monotonic)
    heard: list[Heard] = field(default_factory=list)
    own: list[tuple[float, float]] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    load: list[float] = field(default_factory=list)

    @property
    def now(self) -> float:
        return time.monotonic() - self.began


def main() -> int:
    options = _options()
    os.environ["BENCH_FIRST_TOKEN_SECONDS"] = str(FIRST_TOKEN)
    with tempfile.TemporaryDirectory(prefix="cairn-load-") as folder, served_model() as model:
        settings = {
            **model,
            "QUESTIONS_PER_MINUTE": "0",
            "MAX_CONCURRENT_STREAMS": "0",
            "SAMPLE_KNOWLEDGE_BASE": "false",
            "REWRITE_QUESTIONS": "off",
        }
        with Cluster(Path(folder), told=_told, settings=settings) as cluster:
            headers = _prepared(cluster, options.files)
            asyncio.run(_warmed(cluster.url, headers))
            first_met = _gateway_ms(cluster.url, headers, model["LLM_BASE_URL"])
            course = asyncio.run(_chatted(cluster, headers, options))
            spoken = spoken_by(model["LLM_BASE_URL"])
            known = _gateway_ms(cluster.url, headers, model["LLM_BASE_URL"])
    course.own = [(each.at, own) for each in course.heard if (own := each.own_ms(spoken)) is not None]
    figures = [*_figures(course, options), *_gateway_figures(first_met, known)]
    show(figures, Console(), file=options.json)
    if options.report:
        _report(options, course, figures)
    return 0 if all(figure.met is not False for figure in figures) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-load", description=__doc__)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument(
        "--reading", type=float, default=30, help="seconds until the next question, on average"
    )
    parser.add_argument("--files", type=int, default=60, help="of the handbook")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--report", type=Path, help="folder for the table and the plots")
    return parser.parse_args()


def _told(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _prepared(cluster: Cluster, count: int) -> dict[str, str]:
    """Add documents; return the headers that authenticate requests."""
    whole = SAMPLE_DATA / "handbook"
    with tempfile.TemporaryDirectory() as part:
        for path in sorted(whole.rglob("*.md"))[:count]:
            copy = Path(part, path.relative_to(whole))
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        cluster.manage("ingest", part, "--kb", "handbook", "--wait")
    made = cluster.manage("create_api_key", "--user", "admin", "--name", "load", "--json")
    return {"Authorization": f"Bearer {json.loads(made)['key']}"}


async def _warmed(url: str, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=120, trust_env=False) as api:
        for question in many()[:WARM]:
            await _ask(api, question, None, 0.0)


async def _chatted(cluster: Cluster, headers: dict[str, str], options: argparse.Namespace) -> Course:
    course, until = Course(), time.monotonic() + options.minutes * 60
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=cluster.url, headers=headers, timeout=120, trust_env=False, limits=limits
    ) as api:
        watching = asyncio.create_task(_watch(cluster, course))
        people = (_person(api, course, place, until, options.reading) for place in range(options.people))
        await asyncio.gather(*people)
        watching.cancel()
    return course


async def _watch(cluster: Cluster, course: Course) -> None:
    pids = [pid for name, pid in cluster.pids.items() if name.startswith("web-")]
    while True:
        resident = sum(psutil.Process(pid).memory_info().rss for pid in pids) / 2**20
        course.memory.append((course.now, resident))
        course.load.append(os.getloadavg()[0])
        await asyncio.sleep(LOOK_SECONDS)


async def _person(api: httpx.AsyncClient, course: Course, place: int, until: float, reading: float) -> None:
    chance, questions = random.Random(place), many()
    await asyncio.sleep(chance.random() * reading)
    while time.monotonic() < until:
        conversation = None
        for _ in range(QUESTIONS_IN_A_CHAT):
            heard, conversation = await _ask(api, chance.choice(questions), conversation, course.now)
            course.heard.append(heard)
            await asyncio.sleep(min(chance.expovariate(1 / reading), max(0.0, until - time.monotonic())))
            if time.monotonic() >= until:
                return


async def _ask(
    api: httpx.AsyncClient, question: str, conversation: str | None, at: float
) -> tuple[Heard, str | None]:
    body = {"question": question, "stream": True, **({"conversation": conversation} if conversation else {})}
    asked, event, first, ended = time.monotonic(), "", None, False
    try:
        async with api.stream("POST", "/api/v1/ask", json=body) as answer:
            if answer.status_code != httpx.codes.OK:
                return Heard(at, asked, error=str(answer.status_code)), conversation
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    data: dict[str, Any] = json.loads(line.removeprefix("data: "))
                    if event == "start":
                        conversation = data["conversation"]
                    elif event == "delta" and first is None:
                        first = data["text"], time.monotonic()
                    elif event == "error":
                        return Heard(at, asked, error=data["detail"]), conversation
                    ended = ended or event == "done"
    except httpx.HTTPError as error:
        return Heard(at, asked, error=type(error).__name__), conversation
    return Heard(at, asked, first, "" if ended else "ended early"), conversation


def _gateway_ms(url: str, headers: dict[str, str], model_url: str) -> list[float]:
    """Return the time of sequential `/v1/chat/completions` requests, less the search alone and the
    model's own time."""
    questions = many()[WARM : WARM + 2 * GATEWAY_TIMES]
    with httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False) as api:
        # Each question to one of them only, since its embedding is cached.
        searched = [_search_ms(api, question) for question in questions[::2]]
        found = [_completion_ms(api, question, model_url) for question in questions[1::2]]
    return [own - statistics.median(searched) for own in found if own is not None]


def _search_ms(api: httpx.Client, question: str) -> float:
    began = time.monotonic()
    api.post("/api/v1/search", json={"query": question, "top_k": 8}).raise_for_status()
    return (time.monotonic() - began) * 1000


def _completion_ms(api: httpx.Client, question: str, model_url: str) -> float | None:
    """Less the model's own. None if the model was not asked."""
    began = time.monotonic()
    body = {"model": "cairn", "messages": [{"role": "user", "content": question}]}
    answer = api.post("/v1/chat/completions", json=body).raise_for_status().json()
    whole = time.monotonic() - began
    if not answer["usage"]["completion_tokens"]:
        return None
    return (whole - spoken_by(model_url)[-1].seconds) * 1000


def _figures(course: Course, options: argparse.Namespace) -> Iterator[Figure]:
    own = [value for _, value in course.own]
    errors = [each for each in course.heard if each.error]
    for kind in sorted({each.error for each in errors}):
        _told(f"error: {kind}: {sum(each.error == kind for each in errors)}")
    people = f"{options.people} people, {options.minutes:g} min"
    yield Figure(f"{people}: questions", len(course.heard), "questions")
    yield Figure("questions in a second", len(course.heard) / max(1.0, options.minutes * 60), "1/s")
    yield Figure("errors", len(errors), "questions", 0)
    yield Figure("first words, over the model's own, p50", percentile(own, 0.5), "ms")
    yield Figure("first words, over the model's own, p95", percentile(own, 0.95), "ms", OWN_MS)
    halfway = [value for at, value in course.own if at > options.minutes * 30]
    yield Figure("the same in the second half, p95", percentile(halfway, 0.95), "ms")
    begin, end = memory_ends(course.memory)
    yield Figure("memory of the web processes, first fifth", begin, "MB")
    yield Figure("memory of the web processes, last fifth", end, "MB", begin * 1.1)
    yield Figure("load of the machine, median", statistics.median(course.load), "processes")


def memory_ends(memory: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The median of the first fifth after the start, and of the last one."""
    values = [resident for _, resident in memory]
    fifth = max(1, len(values) // 5)
    return statistics.median(values[fifth : 2 * fifth] or values), statistics.median(values[-fifth:])


def _gateway_figures(first_met: Sequence[float], known: Sequence[float]) -> Iterator[Figure]:
    """Passages are embedded for the checks when they are met first, and are known for a while."""
    for when, own in (("passages met for the first time", first_met), ("after the chats", known)):
        if own:
            name = f"/v1/chat/completions over search and endpoint, {when}"
            yield Figure(f"{name}, p50", percentile(own, 0.5), "ms", GATEWAY_MS)
            yield Figure(f"{name}, p95", percentile(own, 0.95), "ms")


def _report(options: argparse.Namespace, course: Course, figures: Sequence[Figure]) -> None:
    options.report.mkdir(parents=True, exist_ok=True)
    own = [(at / 60, value) for at, value in course.own]
    memory = [(at / 60, value) for at, value in course.memory]
    plot_write(
        options.report / "first-words.svg", Plot("First words, over the model's own", "minutes", "ms", own)
    )
    plot_write(
        options.report / "memory.svg", Plot("Memory of the web processes", "minutes", "MB", memory, line=True)
    )
    (options.report / "load.md").write_text(_page(options, figures), encoding="utf-8")


def _page(options: argparse.Namespace, figures: Sequence[Figure]) -> str:
    given = f"--people {options.people} --minutes {options.minutes:g} --reading {options.reading:g}"
    return _PAGE.format(
        command=f'make bench-load ARGS="{given} --report docs/operate/performance"',
        cores=os.cpu_count(),
        reading=options.reading,
        chat=QUESTIONS_IN_A_CHAT,
        first=FIRST_TOKEN * 1000,
        word=SECONDS_PER_WORD * 1000,
        rows="\n".join(_row(figure) for figure in figures),
    )


_PAGE: Final = """# Load

For operators who size a cluster: how long people wait for the first words of an answer when many chat at
once.

Measured by `{command}` on one machine with {cores} cores, which also ran PostgreSQL, Valkey, a substitute
for the vector store, the model server and the simulated people. Each person reads for {reading:g} seconds
on average before the next question and asks {chat} questions per chat. The simulated model server takes
{first:.0f} ms to its first word and {word:.0f} ms for each further one, and repeats sentences from the
passages. Cairn shows a sentence once it has been checked, so the "model's own" time lasts until the model
has written the part that is shown first.

| what | figure | unit | target | met |
|---|---|---|---|---|
{rows}

![First words, over the model's own time](first-words.svg)

![Memory of the two web processes](memory.svg)
"""


def _row(figure: Figure) -> str:
    met = {None: "", True: "yes", False: "**no**"}[figure.met]
    target = "" if figure.target is None else f"≤ {figure.target:.0f}"
    return f"| {figure.name} | {figure.value:.1f} | {figure.unit} | {target} | {met} |"


if __name__ == "__main__":
    sys.exit(main())
