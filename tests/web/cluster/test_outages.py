"""Services of a cluster fail under load and return: no answer is wrong, and no work is lost."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.balancer import Balancer
from tests.installs import until
from tests.web.cluster.load import Load
from tests.web.cluster.site import QUESTION, Site, Writing, read_events

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

ASK = {"question": QUESTION}


def test_postgresql_is_restarted_under_load(site: Site) -> None:
    """In the meantime: 503, Retry-After and a problem document, or an answer."""
    with Load(site, may_wait=True).running() as load:
        site.install.bring("while-restarted", 4)
        site.postgres.stop()
        seen = load.later
        until(lambda: load.later > seen, what="for somebody who is told to come again")
        site.postgres.start()
        load.some_more()
    assert load.failures == []
    site.install.wait_settled()
    assert site.install.failures() == []
    assert len({uri for uri, *_ in site.install.found("while-restarted")}) == 4
    site.install.assert_nothing_left_over()


def test_broker_outage_under_load_fails_no_request(site: Site) -> None:
    with Load(site).running() as load:
        site.broker.persistent = False
        site.broker.stop()
        site.install.bring("while-lost", 3)
        load.some_more()
        site.broker.start()
        load.some_more()
    site.broker.persistent = True
    site.install.wait_settled()
    assert load.failures == []
    assert len({uri for uri, *_ in site.install.found("while-lost")}) == 3


def test_vector_store_outage_returns_503_without_asking_the_model(site: Site, chat_model: Writing) -> None:
    site.store.stop()
    try:
        before = chat_model.asked
        for _ in range(2):
            answer = site.install.ask("POST", "/ask", json=ASK)
            assert answer.status_code == 503
            assert answer.json()["code"] == "unavailable"
            assert int(answer.headers["Retry-After"]) > 0
        with (
            site.install.http() as client,
            client.stream("POST", "/ask", json={**ASK, "stream": True}) as response,
        ):
            events = list(read_events(response))
        assert [name for name, _ in events if name in ("delta", "done")] == []
        assert events[-1][1]["status"] == 503
        assert chat_model.asked == before, "a model was asked without passages"
    finally:
        site.store.start()
    assert site.install.ask("POST", "/ask", json=ASK).json()["citations"]


def test_second_beat_takes_over_from_a_killed_one(site: Site) -> None:
    """And sends nothing before: see tests/web/runtime/test_beating.py."""
    holder = "SELECT holder FROM ingestion_clock"
    (first,) = site.install.rows(holder)
    with site.install.beat() as second:
        second.wait_ready()
        assert site.beat is not None
        site.beat.kill()
        until(lambda: site.install.rows(holder) not in ([first], []), what="for the second beat")
        site.broker.persistent = False
        site.broker.stop()
        site.install.bring("second-beat", 1)
        site.broker.start()
        site.broker.persistent = True
        site.install.wait_settled()
        assert second.stop() == 0
    assert site.install.rows(holder) == []
    site.beat = site.install.beat().wait_ready()


@pytest.fixture
def network(site: Site) -> Iterator[Balancer]:
    """A balancer in front of one of the web processes."""
    with Balancer([f"127.0.0.1:{site.ports[0]}"], checked=False) as proxy:
        yield proxy


def test_answer_continues_after_a_broken_connection(site: Site, network: Balancer) -> None:
    """An answer whose connection breaks is continued from there, with the same text."""
    key = (site.install.data_dir / "test_key").read_text(encoding="ascii")
    headers = {"Authorization": f"Bearer {key}"}
    network.faults.delay = 0.05
    with httpx.Client(base_url=f"{network.url}/api/v1", headers=headers, timeout=60) as client:
        slow = client.post("/ask", json=ASK)
        assert slow.json()["citations"]
        network.faults.delay, network.faults.cut_after = 0.0, 2000
        heard = list[tuple[str, Any]]()
        asked = {**ASK, "stream": True, "detached": True}
        with suppress(httpx.TransportError), client.stream("POST", "/ask", json=asked) as response:
            heard += read_events(response)
        assert [name for name, _ in heard][-1] not in {"done", "error"}
        message = heard[0][1]["id"]
    with site.install.http() as client, client.stream("GET", f"/messages/{message}/events") as follow:
        events = list(read_events(follow))
    assert events[-1][0] == "done"
    assert events[-1][1]["answer"] == slow.json()["answer"]
