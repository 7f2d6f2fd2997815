"""Measures timing differences that could reveal something, on an idle machine: they must stay below 2 ms.

`python -m tests.bench.timing [--samples 400]` starts a server of its own and sends pairs of requests in
turn, such as signing in as somebody who exists and as nobody. Shown are the difference of the medians and a
95 % interval by resampling. Nothing is asserted in the normal tests: on a busy machine this says nothing.
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count, cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import httpx
from rich.console import Console
from rich.table import Table

from tests.servers import Server, start_server, stop_server

MOST_MS = 2.0
RESAMPLED = 2000
WARM_UP = 10
ATTEMPTS_EACH = 5
Ask = Callable[[], float]
"""Sends a request, and says how many milliseconds its answer took."""


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def interleaved(first: Ask, second: Ask, samples: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each, in an order that is random within each pair, so that drift hits both alike."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(samples + WARM_UP):
        for which in random.sample((0, 1), 2):
            taken = (first, second)[which]()
            if number >= WARM_UP:
                times[which].append(taken)
    return times


def difference(times: tuple[Sequence[float], Sequence[float]]) -> tuple[float, float, float]:
    """Return the difference of the medians, with the 95 % interval of resampled ones."""
    first, second = times
    resampled = sorted(
        statistics.median(random.choices(first, k=len(first)))
        - statistics.median(random.choices(second, k=len(second)))
        for _ in range(RESAMPLED)
    )
    low, high = resampled[RESAMPLED // 40], resampled[-RESAMPLED // 40]
    return statistics.median(first) - statistics.median(second), low, high


class Pairs:
    """Pairs of an object that exists but must stay hidden, and one that doesn't exist."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self.admin = self._client(server.key())
        self.user = self.admin.post("/users", json={"username": "rob"}).raise_for_status().json()["id"]
        made = server.manage("create_api_key", "--user", "rob", "--name", "timing", "--json")
        self.key = json.loads(made.stdout)["key"]
        self.rob = self._client(self.key)
        base = self.admin.post("/knowledge-bases", json={"name": "Hidden"}).raise_for_status().json()["id"]
        file = ("hidden.md", b"# Hidden\n\nThe merger closes on 14 June.")
        sent = self.admin.post(f"/knowledge-bases/{base}/documents", files={"file": file})
        self.base, self.document = base, sent.raise_for_status().json()["document"]["id"]

    def _client(self, key: str) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.url}/api/v1", headers={"Authorization": f"Bearer {key}"}, timeout=60
        )

    def sign_in(self, names: Iterator[str]) -> Ask:
        """Each attempt comes from an address of its own and under another name, so that none is throttled."""
        addresses = (f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in count(random.randrange(1 << 23)))

        def attempt() -> float:
            headers = {"X-Forwarded-For": next(addresses)}
            with httpx.Client(base_url=self.url, timeout=60, headers=headers) as browser:
                page = browser.get("/login").text
                token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
                form = {"username": next(names), "password": "wrong", "csrfmiddlewaretoken": token}
                return timed(lambda: browser.post("/login", data=form))

        return attempt

    def people(self, samples: int, **fields: str) -> Iterator[str]:
        """Names of enough people that none is tried too often."""
        names = [f"user-{uuid4().hex[:12]}" for _ in range(samples // ATTEMPTS_EACH + 2)]
        for name in names:
            self.admin.post("/users", json={"username": name, **fields}).raise_for_status()
        return cycle(names)

    def reads(self, path: str) -> Ask:
        return lambda: timed(lambda: self.rob.get(path))

    def with_key(self, key: str) -> Ask:
        return lambda: timed(lambda: self.rob.get("/me", headers={"Authorization": f"Bearer {key}"}))

    def all(self, samples: int) -> dict[str, tuple[Ask, Ask]]:
        wrong_end = self.key[:-4] + ("aaaa" if not self.key.endswith("aaaa") else "bbbb")
        elsewhere = "cairn_00000000_" + "a" * (len(self.key) - 15)
        found = {
            "document, hidden or absent": "/documents/{}",
            "content, hidden or absent": "/documents/{}/content",
        }
        ids = {name: (path.format(self.document), path.format(uuid4())) for name, path in found.items()}
        base = "/knowledge-bases/{}"
        ids["knowledge base, hidden or absent"] = (base.format(self.base), base.format(uuid4()))
        nobody = (f"nobody-{uuid4().hex[:12]}" for _ in count())
        with_password = self.people(samples, password="a long enough passphrase")
        return {
            "sign-in, somebody or nobody": (self.sign_in(with_password), self.sign_in(nobody)),
            "sign-in, without a password or nobody": (
                self.sign_in(self.people(samples)),
                self.sign_in(nobody),
            ),
            **{name: (self.reads(hidden), self.reads(absent)) for name, (hidden, absent) in ids.items()},
            "key, right prefix or none": (self.with_key(wrong_end), self.with_key(elsewhere)),
        }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Timing differences that could give something away.")
    parser.add_argument("--samples", type=int, default=400)
    samples = parser.parse_args(arguments).samples
    table = Table("compared", "difference, ms", "95 % interval", "below 2 ms")
    told = True
    with TemporaryDirectory(prefix="cairn-timing-") as folder:
        server = start_server(Path(folder) / "data", TRUSTED_PROXIES="127.0.0.1")
        try:
            for name, (first, second) in Pairs(server).all(samples).items():
                apart, low, high = difference(interleaved(first, second, samples))
                fits = abs(apart) < MOST_MS
                told = told and fits
                table.add_row(name, f"{apart:+.2f}", f"{low:+.2f} to {high:+.2f}", "yes" if fits else "NO")
        finally:
            stop_server(server)
    Console().print(table)
    return 0 if told else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
