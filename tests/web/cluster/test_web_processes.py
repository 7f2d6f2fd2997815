"""Web processes come and go, and whoever asks does not notice, or is told."""

import signal
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from retrieval.conversations import INTERRUPTED
from tests.backends import free_port
from tests.installs import Helper, until
from tests.web.cluster.load import Load
from tests.web.cluster.site import QUESTION, Site, Writing, told

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

DETACHED = {"question": QUESTION, "stream": True, "detached": True}


@pytest.fixture
def held(writing: Writing) -> Iterator[Writing]:
    """The model stops in the middle of its answer."""
    writing.going_on.clear()
    yield writing
    writing.going_on.set()


def until_words(events: Iterator[tuple[str, Any]]) -> tuple[str, str]:
    """The message's id, and what was told before the last of two sentences."""
    message, said = "", list[str]()
    for name, data in events:
        if name == "start":
            message = data["id"]
        if name == "delta":
            said.append(data["text"])
        if len(said) == 2:
            return message, said[0]
    raise AssertionError("it ended without a word")


def test_a_rolling_restart_under_load_fails_no_request(site: Site) -> None:
    with Load(site).running() as load:
        for port in site.ports:
            old = site.webs[port]
            assert old.stop() == 0
            site.web(port).wait_ready()
            site.wait_balanced()
            load.some_more()
    assert load.failures == []


def test_an_answer_whose_web_process_is_killed_ends_as_interrupted(site: Site, held: Writing) -> None:
    """Its asker, whose connection broke, hears so from the other process, with what was written."""
    port = site.ports[0]
    with site.at(port) as client, client.stream("POST", "/ask", json=DETACHED) as stream:
        message, words = until_words(told(stream))
        site.webs[port].process.kill()
        site.webs[port].process.wait()
    until(lambda: site.balancer.ready == {f"127.0.0.1:{site.ports[1]}"})
    with site.install.http() as client, client.stream("GET", f"/messages/{message}/events") as follow:
        events = list(told(follow))
    text = "".join(data["text"] for name, data in events if name == "delta")
    assert text.startswith(words.strip())
    assert events[-1][0] == "error"
    assert events[-1][1]["detail"] == INTERRUPTED
    held.going_on.set()
    again = site.install.ask("POST", "/ask", json={"question": QUESTION})
    assert again.json()["citations"]
    site.web(port).wait_ready()
    site.wait_balanced()


def test_an_answer_that_takes_too_long_for_a_graceful_end_is_told_so(site: Site, held: Writing) -> None:
    port = site.ports[0]
    site.webs[port].stop()
    held.going_on.set()  # a process that starts asks the model for a word
    hasty = site.web(port, STREAM_END_SECONDS="1").wait_ready()
    held.going_on.clear()
    with site.at(port) as client, client.stream("POST", "/ask", json=DETACHED) as stream:
        coming = told(stream)
        message, _words = until_words(coming)
        hasty.process.send_signal(signal.SIGTERM)
        events = list(coming)
    assert events[-1][0] == "error"
    assert events[-1][1]["detail"] == INTERRUPTED
    assert hasty.wait_end() == 0
    held.going_on.set()
    kept = site.install.ask("GET", f"/messages/{message}/events").text
    assert INTERRUPTED in kept
    site.web(port).wait_ready()
    site.wait_balanced()


def test_an_answer_that_is_being_written_is_finished_before_a_graceful_end(site: Site, held: Writing) -> None:
    """And what comes meanwhile goes to the other process."""
    port = site.ports[0]
    with site.at(port) as client, client.stream("POST", "/ask", json=DETACHED) as stream:
        coming = told(stream)
        until_words(coming)
        site.webs[port].process.send_signal(signal.SIGTERM)
        until(lambda: site.balancer.ready == {f"127.0.0.1:{site.ports[1]}"})
        with site.at(port) as late, pytest.raises(httpx.TransportError):
            until(lambda: late.get("/me").headers["Connection"] != "close", patience=20)
        assert site.install.ask("GET", "/me").status_code == 200
        held.going_on.set()
        events = list(coming)
    assert events[-1][0] == "done"
    assert site.webs[port].wait_end() == 0
    site.web(port).wait_ready()
    site.wait_balanced()


def test_of_several_on_one_address_one_that_dies_is_replaced(site: Site) -> None:
    port = free_port()
    group = Helper(
        site.install.data_dir,
        "web",
        "--port",
        str(port),
        "--workers",
        "2",
        **{**site.install.settings, "DRAIN_SECONDS": "0"},
    )
    with group:
        group.wait_ready()
        parent = psutil.Process(group.process.pid)
        first = {child.pid for child in parent.children()}
        assert len(first) == 2
        victim = min(first)
        psutil.Process(victim).kill()
        until(lambda: len({child.pid for child in parent.children()} - {victim}) == 2)
        with site.at(port) as client:
            assert client.get("/me").status_code == 200
        left = parent.children()
        assert group.stop() == 0
        _gone, alive = psutil.wait_procs(left, timeout=30)
        assert alive == []
