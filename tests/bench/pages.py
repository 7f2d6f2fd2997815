"""How fast pages are for who looks at them: `python -m tests.bench.pages [--json FILE]`.

All figures are the browser's own performance entries: first and largest contentful paint, how long the page
took to answer clicks and keys, the longest task, and bytes as they came over the wire. Nothing is cached.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console

from tests.bench.figures import Figure, percentile, show
from tests.servers import ROOT, Server, server_environment, start_server, stop_server
from tests.tour.looking import CHROMIUM, DESKTOP, FLAGS

ROUNDS: Final = 3
DOCUMENTS: Final = 5_000
MESSAGES: Final = 500
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
  return { ...window.seen, fcp, html: page.encodedBodySize, css: sum(".css"), js: sum(".js") };
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
    yield Figure(f"{looked.name}: first contentful paint, slowest of {ROUNDS}", worst["fcp"], "ms", 1_000)
    yield Figure(f"{looked.name}: largest contentful paint", worst["lcp"], "ms", 1_500)
    yield Figure(
        f"{looked.name}: answer to clicks and keys, p75", percentile(answered or [0], 0.75), "ms", 100
    )
    yield Figure(f"{looked.name}: longest task", worst["longest"], "ms", 100)
    yield Figure(f"{looked.name}: HTML", last["html"] / 1000, "KB")
    yield Figure(f"{looked.name}: CSS", last["css"] / 1000, "KB")
    yield Figure(f"{looked.name}: JavaScript", last["js"] / 1000, "KB", 60)


def filled(server: Server) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.many", str(DOCUMENTS), str(MESSAGES)],
        env={**server_environment(server.data_dir), "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made: dict[str, str] = json.loads(done.stdout)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    said = parser.parse_args()
    console = Console()
    with TemporaryDirectory(prefix="cairn-bench-") as folder, sync_playwright() as playwright:
        server = start_server(Path(folder))
        try:
            made = filled(server)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            pages = (
                Looked("chat", "/", _chat),
                Looked(f"conversation of {MESSAGES}", made["conversation"], _conversation),
                Looked(f"library of {DOCUMENTS}", made["library"], _library),
                Looked("console", "/admin", _console),
            )
            found = [each for looked in pages for each in figures(browser, server, made, looked)]
            browser.close()
        finally:
            stop_server(server)
    show(found, console, file=said.json)


if __name__ == "__main__":
    main()
