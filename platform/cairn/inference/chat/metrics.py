"""Prometheus metrics of language model servers. `endpoint` is a host, never a whole URL."""

from prometheus_client import Counter, Gauge, Histogram

from cairn.inference.chat.breaker import BreakerState

# `multiprocess_mode`: of several processes on one address, of which each has its queue and its breakers.
IN_FLIGHT = Gauge(
    "cairn_llm_in_flight",
    "Answers being written by a language model's server",
    ["endpoint"],
    multiprocess_mode="livesum",
)
WAITING = Gauge(
    "cairn_llm_waiting",
    "Requests that wait for a language model's server",
    ["kind"],
    multiprocess_mode="livesum",
)
BREAKER = Gauge(
    "cairn_llm_breaker_open",
    "0: it is asked, 1: it is left alone, 0.5: being tried",
    ["endpoint"],
    multiprocess_mode="livemax",
)
FIRST_TOKEN = Histogram(
    "cairn_llm_first_token_seconds",
    "From sending a request to its first token",
    ["endpoint"],
    buckets=(0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 30, 60, 120),
)
FAILURES = Counter(
    "cairn_llm_failures", "Requests that a language model's server failed", ["endpoint", "cause"]
)
WAITED = Histogram(
    "cairn_llm_wait_seconds",
    "From being asked for to being sent to a server",
    ["kind"],
    buckets=(0.01, 0.1, 0.5, 1, 3, 10, 30, 60, 120),
)

_OPENNESS = {BreakerState.CLOSED: 0.0, BreakerState.HALF_OPEN: 0.5, BreakerState.OPEN: 1.0}


def record_breaker_state(endpoint: str, state: BreakerState) -> None:
    BREAKER.labels(endpoint).set(_OPENNESS[state])
