"""Measures page speed in a browser: `python -m tests.bench.pages [--json FILE] [--table FILE]`.

With SQLite, and with PostgreSQL where it is installed. All figures are the browser's own performance entries:
when the server's answer begins, first and largest contentful paint, how long the page took to answer clicks
and keys, the longest task, and bytes as they came over the wire. Nothing is cached.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console

from tests.backends import Postgres
from tests.bench.figures import Figure, percentile, show
from tests.servers import ROOT, Server, server_environment, start_server, stop_server
from tests.tour.looking import CHROMIUM, DESKTOP, FLAGS

ROUNDS: Final = 3
DOCUMENTS: Final = 5_000
MESSAGES: Final = 500
QUESTIONS: Final = 50_000
TABLE: Final = re.compile(r"(?<=<!-- made by make bench-pages -->\n).*?(?=<!-- end -->)", re.DOTALL)
LISTEN: Final = """() => {
  const seen = window.seen = { lcp: 0, longest: 0, answered: [] };
  const on = (type, each, more) => new PerformanceObserver((list) => list.getEntries().forEach(each))
    .observe({ type, buffered: true, ...more });
  on("largest-contentful-paint", (entry) => { seen.lcp = entry.startTime; });
  on("longtask", (entry) => { seen.longest = Math.max(seen.longest, entry.duration); });
  const answered = (entry) => entry.interactionId && seen.answered.push(entry.duration);
  on("event", answered, { durationThreshold: 16 });
}"""
READ: Final = """() => {
  const sum = (kind) => performance.getEntriesByType("resource")
    .filter((entry) => entry.name.endsWith(kind)).reduce((all, entry) => all + entry.encodedBodySize, 0);
  const [page] = performance.getEntriesByType("navigation");
  const fcp = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0;
  const byte = page.responseStart - page.requestStart;
  return { ...window.seen, fcp, byte, html: page.encodedBodySize, css: sum(".css"), js: sum(".js") };
}"""
Use = Callable[[Page], None]


@dataclass(frozen=True, slots=True)
class Looked:
    """`use`: what people do there first."""

    name: str
    path: str
    use: Use


def _chat(page: Page) -> None:
    page.get_by_label("Your question").press_sequentially("How many days may be carried over?", delay=20)
    page.locator(".picker-button").click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="admin").first.click()
    page.keyboard.press("Escape")


def _conversation(page: Page) -> None:
    page.get_by_label("Your question").press_sequentially("And who signs?", delay=20)
    for _ in range(10):
        page.mouse.move(700, 400)
        page.mouse.wheel(0, -2000)
        page.wait_for_timeout(50)
    page.get_by_role("button", name="Conversation options").click()
    page.keyboard.press("Escape")


def _library(page: Page) -> None:
    page.get_by_role("searchbox").last.press_sequentially("meeting 49", delay=60)
    page.wait_for_load_state("networkidle")


def _console(page: Page) -> None:
    page.get_by_role("button", name="admin").first.click()
    page.keyboard.press("Escape")


def measured(browser: Browser, server: Server, made: Mapping[str, str], looked: Looked) -> dict[str, Any]:
    """Once, in a browser that has never been there."""
    context = browser.new_context(base_url=server.url, viewport=DESKTOP)
    context.add_cookies([{"name": made["cookie"], "value": made["session"], "url": server.url}])
    page = context.new_page()
    page.add_init_script(f"({LISTEN})()")
    page.goto(looked.path)
    page.wait_for_load_state("networkidle")
    looked.use(page)
    page.wait_for_timeout(300)
    found: dict[str, Any] = page.evaluate(READ)
    context.close()
    return found


def figures(browser: Browser, server: Server, made: Mapping[str, str], looked: Looked) -> Iterator[Figure]:
    rounds = [measured(browser, server, made, looked) for _ in range(ROUNDS)]
    worst = {name: max(each[name] for each in rounds) for name in ("fcp", "lcp", "longest")}
    answered = [took for each in rounds for took in each["answered"]]
    last = rounds[-1]
    first_byte = statistics.median(each["byte"] for each in rounds)
    yield Figure(f"{looked.name}: the server's answer begins, median", first_byte, "ms", 500)
    yield Figure(f"{looked.name}: first contentful paint, slowest of {ROUNDS}", worst["fcp"], "ms", 1_000)
    yield Figure(f"{looked.name}: largest contentful paint", worst["lcp"], "ms", 1_500)
    yield Figure(
        f"{looked.name}: answer to clicks and keys, p75", percentile(answered or [0], 0.75), "ms", 100
    )
    yield Figure(f"{looked.name}: longest task", worst["longest"], "ms", 100)
    yield Figure(f"{looked.name}: HTML", last["html"] / 1000, "KB")
    yield Figure(f"{looked.name}: CSS", last["css"] / 1000, "KB")
    yield Figure(f"{looked.name}: JavaScript", last["js"] / 1000, "KB", 60)


def filled(server: Server, database: Mapping[str, str]) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.many", str(DOCUMENTS), str(MESSAGES), str(QUESTIONS)],
        env={**server_environment(server.data_dir, **database), "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made: dict[str, str] = json.loads(done.stdout)
    return made


def looked_at(browser: Browser, database: Mapping[str, str]) -> list[Figure]:
    with TemporaryDirectory(prefix="cairn-bench-") as folder:
        server = start_server(Path(folder), **database)
        try:
            made = filled(server, database)
            pages = (
                Looked("chat", "/", _chat),
                Looked(f"conversation of {MESSAGES}", made["conversation"], _conversation),
                Looked(f"knowledge base and upload, {DOCUMENTS} documents", made["library"], _library),
                Looked(f"search of {DOCUMENTS} documents", "/library?q=meeting+49", _console),
                Looked(f"overview of {QUESTIONS} questions", "/admin?days=90", _console),
            )
            return [each for looked in pages for each in figures(browser, server, made, looked)]
        finally:
            stop_server(server)


@contextmanager
def databases() -> Iterator[dict[str, dict[str, str]]]:
    try:
        server = Postgres()
    except pytest.skip.Exception:
        yield {"SQLite": {}}
        return
    server.start()
    try:
        yield {"SQLite": {}, "PostgreSQL": {"DATABASE_URL": server.url}}
    finally:
        server.close()


def table(found: Mapping[str, Sequence[Figure]]) -> str:
    """Format the figures as Markdown: a row for each figure, a column for each database."""
    rows = [f"| | {' | '.join(found)} | target |", f"|---|{'---:|' * len(found)}---:|"]
    for same in zip(*found.values(), strict=True):
        values = " | ".join(f"{each.value:,.0f} {each.unit}" for each in same)
        target = f"{same[0].target:,.0f} {same[0].unit}" if same[0].target else ""
        rows.append(f"| {same[0].name} | {values} | {target} |")
    return "\n" + "\n".join(rows) + "\n\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--table", type=Path, help="also write them into the table of this page")
    arguments = parser.parse_args()
    with sync_playwright() as playwright, databases() as known:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        found = {name: looked_at(browser, settings) for name, settings in known.items()}
        browser.close()
    named = [replace(each, name=f"{name}, {each.name}") for name, all_ in found.items() for each in all_]
    show(named, Console(), file=arguments.json)
    if arguments.table:
        page = arguments.table.read_text(encoding="utf-8")
        arguments.table.write_text(TABLE.sub(table(found), page), encoding="utf-8")


if __name__ == "__main__":
    main()
