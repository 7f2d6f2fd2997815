"""Admission: assigns waiting requests to servers. Requests of people come before background work."""

import asyncio
import itertools
import time
from bisect import insort
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from cairn.errors import Unavailable
from cairn.inference.chat import metrics
from cairn.inference.chat.endpoint import Endpoint


class Priority(IntEnum):
    CHAT = 0
    BACKGROUND = 1

    @property
    def kind(self) -> str:
        return self.name.lower()


@dataclass(order=True, slots=True)
class _Waiter:
    """A queued request, ordered by turn. `on_place` gets the place in the queue, from 1."""

    priority: Priority
    number: int
    granted: "asyncio.Future[Endpoint]" = field(compare=False)
    on_place: Callable[[int], None] = field(compare=False)
    avoids: Collection[Endpoint] = field(compare=False)
    place: int = field(default=0, compare=False)


class Admission:
    """Queue of requests, used in one event loop. `seconds`: longest time that a request waits."""

    def __init__(self, endpoints: Sequence[Endpoint], *, seconds: float) -> None:
        self._endpoints = endpoints
        self._seconds = seconds
        self._waiting: list[_Waiter] = []
        self._numbers = itertools.count()

    async def take(
        self, priority: Priority, *, on_place: Callable[[int], None], avoids: Collection[Endpoint] = ()
    ) -> Endpoint:
        """The server to send it to, until it is given to `leave`. `avoids`: those that have failed it.

        Raises Unavailable if there is no other that can be asked.
        """
        granted = asyncio.get_running_loop().create_future()
        has_waited = bool(avoids)
        waiter = _Waiter(priority, -1 if has_waited else next(self._numbers), granted, on_place, avoids)
        began = time.monotonic()
        insort(self._waiting, waiter)
        self._serve()
        try:
            endpoint = await self._wait_for_endpoint(waiter)
        except BaseException:
            self._forget(waiter)
            raise
        metrics.WAITED.labels(priority.kind).observe(time.monotonic() - began)
        return endpoint

    def leave(self, endpoint: Endpoint) -> None:
        endpoint.leave()
        self._serve()

    def reassign_waiting(self) -> None:
        """Assign waiting requests again after a circuit breaker has changed."""
        self._serve()

    async def _wait_for_endpoint(self, waiter: _Waiter) -> Endpoint:
        """Wait for an endpoint. Only requests of people have a timeout."""
        try:
            async with asyncio.timeout(self._seconds if waiter.priority is Priority.CHAT else None):
                return await waiter.granted
        except TimeoutError as error:
            message = f"The language model has been busy for {self._seconds:g} seconds. Ask again in a while."
            raise Unavailable(message, code="model_busy", retry_after=30) from error

    def _forget(self, waiter: _Waiter) -> None:
        """Withdraw a waiter, which may have been granted at the moment it gave up."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        granted = waiter.granted
        if granted.done() and not granted.cancelled() and granted.exception() is None:
            self.leave(granted.result())
        else:
            self._serve()

    def _serve(self) -> None:
        for waiter in list(self._waiting):
            if waiter.granted.done() or self._try_settle(waiter):
                self._waiting.remove(waiter)
        for place, waiter in enumerate(self._waiting, 1):
            if place != waiter.place:
                waiter.place = place
                waiter.on_place(place)
        for priority in Priority:
            count = sum(waiter.priority is priority for waiter in self._waiting)
            metrics.WAITING.labels(priority.kind).set(count)

    def _try_settle(self, waiter: _Waiter) -> bool:
        """Grant a server, or fail if none is usable. Returns whether the request no longer waits."""
        usable = [each for each in self._endpoints if each.breaker.lets_through and each not in waiter.avoids]
        free = [each for each in usable if each.in_flight < _room(each, waiter.priority)]
        if not usable:
            waiter.granted.set_exception(self._nobody())
        elif free:
            least_busy = min(free, key=lambda each: (each.in_flight, each.served))
            least_busy.enter()
            waiter.granted.set_result(least_busy)
        return not usable or bool(free)

    def _nobody(self) -> Unavailable:
        reasons = " ".join(
            dict.fromkeys(each.breaker.last_error for each in self._endpoints if each.breaker.last_error)
        )
        return Unavailable(
            f"The language model has failed again and again and is being left alone. {reasons}"
        )


def _room(endpoint: Endpoint, priority: Priority) -> int:
    """Return the free places. One is reserved for people, who would else wait for background work."""
    return endpoint.limit if priority is Priority.CHAT else max(1, endpoint.limit - 1)
