"""Circuit breaker: when a failing server is skipped, and when it is tried again."""

from dataclasses import dataclass
from enum import StrEnum


class BreakerState(StrEnum):
    """State of a breaker. half_open: a request for one token decides whether it closes."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


@dataclass(slots=True)
class Breaker:
    """Circuit breaker that opens after `limit` consecutive failures. `last_error`: the last message."""

    limit: int
    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    last_error: str = ""

    @property
    def lets_through(self) -> bool:
        return self.state is BreakerState.CLOSED

    def record_success(self) -> None:
        self.state, self.failures, self.last_error = BreakerState.CLOSED, 0, ""

    def record_failure(self, error: str, *, at_once: bool = False) -> bool:
        """Record a failure and return whether it opened the breaker. `at_once`: it opens it whatever the
        limit."""
        self.failures, self.last_error = self.failures + 1, error
        if self.lets_through and self.failures < self.limit and not at_once:
            return False
        opened, self.state = self.lets_through, BreakerState.OPEN
        return opened

    def try_again(self) -> None:
        self.state = BreakerState.HALF_OPEN
