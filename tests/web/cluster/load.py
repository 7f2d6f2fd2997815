"""Simulated users who continue to ask during faults."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from tests.installs import until
from tests.web.cluster.site import QUESTION, Site, read_events

STREAM: Final = {"question": QUESTION, "stream": True}
Refuses = Callable[[httpx.Response], bool]


class Load:
    """`failures`: responses that users should never get.

    `later`: responses 503 with Retry-After and a problem document.
    """

    def __init__(self, site: Site, *, may_wait: bool = False) -> None:
        self._site = site
        self._may_wait = may_wait
        self._over = threading.Event()
        self.failures: list[str] = []
        self.answered = self.later = 0

    @contextmanager
    def running(self, people: int = 4) -> Iterator["Load"]:
        kinds = (self._ask, self._search, self._look, self._page)
        threads = [
            threading.Thread(target=self._go_on, args=(kinds[place % len(kinds)],), daemon=True)
            for place in range(people)
        ]
        for thread in threads:
            thread.start()
        try:
            self.some_more()
            yield self
            self.some_more()
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def some_more(self, count: int = 20) -> None:
        before = self.answered
        until(lambda: self.answered >= before + count, what="for requests that succeed")

    def _go_on(self, act: Callable[[httpx.Client], None]) -> None:
        with self._site.install.http() as client:
            while not self._over.is_set():
                try:
                    act(client)
                except (httpx.HTTPError, AssertionError, KeyError) as error:
                    self.failures.append(f"{act.__name__}: {type(error).__name__}: {error}")

    def _ok(self, response: httpx.Response) -> bool:
        """Accept a success, or a response that says when to retry."""
        if self._may_wait and response.status_code == 503:
            response.read()
            assert int(response.headers["Retry-After"]) > 0
            assert response.headers["Content-Type"].startswith("application/problem+json"), response.text
            self.later += 1
            return False
        assert response.status_code == 200, f"{response.status_code} {response.read().decode()[:300]}"
        self.answered += 1
        return True

    def _ask(self, client: httpx.Client) -> None:
        with client.stream("POST", "/ask", json=STREAM) as response:
            if not self._ok(response):
                return
            events = dict(read_events(response))
        if self._may_wait and events.get("error", {}).get("status") == 503:
            self.later += 1
            return
        assert "done" in events, f"ended with {list(events)} {events.get('error')}"
        assert events["done"]["verdict"] != "refused", events["done"]["reason"]
        assert events["done"]["citations"], "not grounded"

    def _search(self, client: httpx.Client) -> None:
        response = client.post("/search", json={"query": QUESTION})
        if self._ok(response):
            assert response.json()["results"]

    def _look(self, client: httpx.Client) -> None:
        self._ok(client.get("/knowledge-bases"))

    def _page(self, client: httpx.Client) -> None:
        url = self._site.balancer.url
        response = client.get(f"{url}/login")
        if self._may_wait and response.status_code == 503:
            assert int(response.headers["Retry-After"]) > 0
        else:
            assert response.status_code == 200, response.status_code
