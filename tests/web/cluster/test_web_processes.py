"""Web processes start and stop without failed requests, or with an explanation."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.parser import text_string_to_metric_families

from retrieval.conversations.services import INTERRUPTED
from tests.backends import free_port
from tests.installs import Helper, until
from tests.stuck import HOLD, stuck_environment
from tests.web.cluster.load import Load
from tests.web.cluster.site import QUESTION, Site, Writing, read_events

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

Labels = frozenset[tuple[str, str]]
DETACHED = {"question": QUESTION, "stream": True, "detached": True}


@pytest.fixture
def paused_model(chat_model: Writing) -> Iterator[Writing]:
    """The model stops in the middle of its answer."""
    chat_model.going_on.clear()
    yield chat_model
    chat_model.going_on.set()


def until_words(events: Iterator[tuple[str, Any]]) -> tuple[str, str]:
    """Return the message's id, and the text before the last of two sentences."""
    message, texts = "", list[str]()
    for name, data in events:
        if name == "start":
            message = data["id"]
        if name == "delta":
            texts.append(data["text"])
        if len(texts) == 2:
            return message, texts[0]
    raise AssertionError("it ended without a word")


@pytest.mark.acceptance
def test_rolling_restart_under_load_fails_no_request(site: Site) -> None:
    with Load(site).running() as load:
        for port in site.ports:
            old = site.webs[port]
            assert old.stop() == 0
            site.web(port).wait_ready()
            site.wait_balanced()
            load.some_more()
    assert load.failures == []


def test_answer_of_a_killed_web_process_ends_as_interrupted(site: Site, paused_model: Writing) -> None:
    """After the broken connection, the user learns this from the other process, with the text so far."""
    port = site.ports[0]
    with site.at(port) as client, client.stream("POST", "/ask", json=DETACHED) as stream:
        message, words = until_words(read_events(stream))
        site.webs[port].process.kill()
        site.webs[port].process.wait()
    until(lambda: site.balancer.ready == {f"127.0.0.1:{site.ports[1]}"})
    with site.install.http() as client, client.stream("GET", f"/messages/{message}/events") as follow:
        events = list(read_events(follow))
    text = "".join(data["text"] for name, data in events if name == "delta")
    assert text.startswith(words.strip())
    assert events[-1][0] == "error"
    assert events[-1][1]["detail"] == INTERRUPTED
    paused_model.going_on.set()
    again = site.install.ask("POST", "/ask", json={"question": QUESTION})
    assert again.json()["citations"]
    site.web(port).wait_ready()
    site.wait_balanced()


def test_answer_beyond_the_shutdown_time_ends_as_interrupted(site: Site, paused_model: Writing) -> None:
    port = site.ports[0]
    site.webs[port].stop()
    paused_model.going_on.set()  # a process that starts asks the model for a word
    hasty = site.web(port, SHUTDOWN_STREAM_SECONDS="1").wait_ready()
    paused_model.going_on.clear()
    with site.at(port) as client, client.stream("POST", "/ask", json=DETACHED) as stream:
        coming = read_events(stream)
        message, _words = until_words(coming)
        hasty.process.send_signal(signal.SIGTERM)
        events = list(coming)
    assert events[-1][0] == "error"
    assert events[-1][1]["detail"] == INTERRUPTED
    assert hasty.wait_end() == 0
    paused_model.going_on.set()
    kept = site.install.ask("GET", f"/messages/{message}/events").text
    assert INTERRUPTED in kept
    site.web(port).wait_ready()
    site.wait_balanced()


def test_running_answer_is_finished_before_a_graceful_shutdown(site: Site, paused_model: Writing) -> None:
    """New requests go to the other process."""
    port = site.ports[0]
    with site.at(port) as client, client.stream("POST", "/ask", json=DETACHED) as stream:
        coming = read_events(stream)
        until_words(coming)
        site.webs[port].process.send_signal(signal.SIGTERM)
        until(lambda: site.balancer.ready == {f"127.0.0.1:{site.ports[1]}"})
        with site.at(port) as late, pytest.raises(httpx.TransportError):
            until(lambda: late.get("/me").headers["Connection"] != "close", patience=20)
        assert site.install.ask("GET", "/me").status_code == 200
        paused_model.going_on.set()
        events = list(coming)
    assert events[-1][0] == "done"
    assert site.webs[port].wait_end() == 0
    site.web(port).wait_ready()
    site.wait_balanced()


def test_answers_waiting_for_the_model_occupy_no_connection(site: Site, paused_model: Writing) -> None:
    """More users than connections: all get their answers, and others are served in the meantime."""
    port = site.ports[0]
    site.webs[port].stop()
    paused_model.going_on.set()
    site.web(port, DATABASE_POOL_SIZE="3").wait_ready()
    paused_model.going_on.clear()
    with ExitStack() as stack:
        streams = [
            stack.enter_context(stack.enter_context(site.at(port)).stream("POST", "/ask", json=DETACHED))
            for _ in range(8)
        ]
        coming = [read_events(stream) for stream in streams]
        for events in coming:
            until_words(events)
        assert stack.enter_context(site.at(port)).get("/me").status_code == 200
        paused_model.going_on.set()
        assert [list(events)[-1][0] for events in coming] == ["done"] * 8
    site.webs[port].stop()
    site.web(port).wait_ready()
    site.wait_balanced()


@dataclass(frozen=True)
class Group:
    """Two processes on one address."""

    helper: Helper
    port: int

    def children(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.helper.process.pid).children()}

    def figures(self) -> Path:
        child = psutil.Process(min(self.children()))
        return Path(child.environ()["PROMETHEUS_MULTIPROC_DIR"])

    def counted_by(self, pid: int) -> float:
        """Requests that this process alone has counted."""
        counters = self.figures() / f"counter_{pid}.db"
        kept = MmapedDict.read_all_values_from_file(counters) if counters.exists() else ()
        return sum(value for key, value, *_ in kept if ASKED in key)


ASKED = "cairn_api_requests_total"


@pytest.fixture
def group(site: Site) -> Iterator[Group]:
    port = free_port()
    settings = {**site.install.settings, "SHUTDOWN_DRAIN_SECONDS": "0"}
    helper = Helper(site.install.data_dir, "web", "--port", str(port), "--workers", "2", **settings)
    with helper:
        yield Group(helper.wait_ready(), port)


def test_dead_web_worker_is_replaced(site: Site, group: Group) -> None:
    first = group.children()
    assert len(first) == 2
    victim = min(first)
    psutil.Process(victim).kill()
    until(lambda: len(group.children() - {victim}) == 2)
    with site.at(group.port) as client:
        assert client.get("/me").status_code == 200
    left = [psutil.Process(pid) for pid in group.children()]
    assert group.helper.stop() == 0
    _gone, alive = psutil.wait_procs(left, timeout=30)
    assert alive == []


def test_stuck_web_worker_is_replaced(site: Site) -> None:
    port = free_port()
    settings = {
        **site.install.settings,
        **stuck_environment(WATCHDOG_SECONDS="15", SHUTDOWN_DRAIN_SECONDS="0"),
    }
    with Helper(site.install.data_dir, "web", "--port", str(port), "--workers", "2", **settings) as helper:
        group = Group(helper.wait_ready(), port)
        before = group.children()
        stuck, healthy = (psutil.Process(pid) for pid in before)
        stuck.send_signal(HOLD)
        until(lambda: len(group.children() - before) == 1)
        assert not stuck.is_running()
        assert healthy.is_running()
        with site.at(port) as client:
            until(lambda: client.get("/me").status_code == 200)
        assert "in hold" in (site.install.data_dir / "web.log").read_text(encoding="utf-8")
        assert helper.stop() == 0


def scraped(group: Group) -> dict[tuple[str, Labels], float]:
    """Scrape whichever process accepts the connection."""
    answer = httpx.get(f"http://127.0.0.1:{group.port}/metrics", timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    families = list(text_string_to_metric_families(answer.text))
    told = [(each.name, frozenset(each.labels.items()), each.value) for f in families for each in f.samples]
    assert len(told) == len({(name, labels) for name, labels, _ in told})
    return {(name, labels): value for name, labels, value in told}


def requests_in(figures: dict[tuple[str, Labels], float]) -> float:
    return sum(value for (name, _), value in figures.items() if name == ASKED)


@pytest.mark.acceptance
def test_metrics_cover_all_web_workers_of_an_address(site: Site, group: Group) -> None:
    """Counters include a dead process; gauges count living ones once."""
    made = 0

    def ask() -> None:
        nonlocal made
        with site.at(group.port) as client:  # a connection of its own, which either may take
            assert client.get("/me").status_code == 200
        made += 1

    def each_has_served() -> bool:
        ask()
        return all(group.counted_by(pid) for pid in group.children())

    until(each_has_served)
    before: dict[tuple[str, Labels], float] = {}
    for _ in range(20):
        ask()
        figures = scraped(group)
        assert requests_in(figures) == made
        back = [name for name, value in before.items() if _counts(name[0]) and value > figures.get(name, 0)]
        assert back == []
        before = figures
    (there,) = site.install.rows("SELECT count(*) FROM library_document WHERE deleted_at IS NULL")
    assert figures["cairn_documents", frozenset()] == there[0]
    assert not [labels for _, labels in figures if "pid" in dict(labels)]

    victim = min(group.children())
    assert [path.name for path in group.figures().glob(f"gauge_*_{victim}.db")]
    psutil.Process(victim).kill()
    until(lambda: len(group.children() - {victim}) == 2)
    assert not list(group.figures().glob(f"gauge_*_{victim}.db"))
    ask()
    assert requests_in(scraped(group)) == made

    folder = group.figures()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert group.helper.stop() == 0
    assert not folder.exists()


def _counts(name: str) -> bool:
    return name.endswith(("_total", "_bucket", "_count", "_sum"))
