"""Spans, sent over OTLP where an endpoint is configured. They carry ids and numbers, never text."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, TypeVar

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode
from opentelemetry.trace import SpanKind as ProtocolKind
from opentelemetry.util.types import AttributeValue
from prometheus_client import Histogram

from cairn.errors import ConfigurationError
from cairn.settings import Environment
from cairn.telemetry.span_attributes import KIND, SpanKind

try:  # the extra `otel`
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from requests import Session
except ImportError:
    TracerProvider = None  # type: ignore[assignment,misc]

_T = TypeVar("_T")
_tracer: Final = trace.get_tracer("cairn")
_PATH: Final = "/v1/traces"
_SECONDS: Final = 5


class _Running:
    provider: Any = None


def tracing_start(environment: Environment, *, role: str) -> None:
    """Once in a process. Raises ConfigurationError where an endpoint is set and the packages are missing."""
    endpoint = environment.otel_exporter_otlp_endpoint
    if endpoint is None or _Running.provider is not None:
        return
    if TracerProvider is None:
        raise ConfigurationError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but its packages are missing: in Cairn's folder, "
            'pip install -e ".[otel]"'
        )
    session = Session()
    session.trust_env = False  # proxies of the environment are for other hosts
    exporter = OTLPSpanExporter(
        endpoint=endpoint.rstrip("/").removesuffix(_PATH) + _PATH,
        headers=_headers(environment),
        timeout=_SECONDS,
        session=session,
    )
    resource = Resource({"service.name": environment.otel_service_name, "cairn.role": role})
    _Running.provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    _Running.provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(_Running.provider)


def _headers(environment: Environment) -> dict[str, str]:
    """Parse headers in OpenTelemetry's format: name=value, separated by commas."""
    given = environment.otel_exporter_otlp_headers
    pairs = given.get_secret_value().split(",") if given else []
    return {name.strip(): value.strip() for name, _, value in (pair.partition("=") for pair in pairs)}


def tracing_stop() -> None:
    """Send all pending spans."""
    if _Running.provider is not None:
        _Running.provider.force_flush(_SECONDS * 1000)


@contextmanager
def step(
    name: str,
    seconds: Histogram | None = None,
    kind: SpanKind | None = None,
    attributes: Mapping[str, AttributeValue] | None = None,
) -> Iterator[Span]:
    """A part of the work: a span, and its time in the histogram. Errors are named by their kind only."""
    with (
        _tracer.start_as_current_span(
            name,
            attributes=_with_kind(attributes, kind),
            record_exception=False,
            set_status_on_exception=False,
        ) as span,
        _measure_time(seconds),
    ):
        try:
            yield span
        except Exception as error:
            _mark(span, error)
            raise


def _with_kind(
    attributes: Mapping[str, AttributeValue] | None, kind: SpanKind | None
) -> Mapping[str, AttributeValue] | None:
    return attributes if kind is None else {KIND: kind.value, **(attributes or {})}


@contextmanager
def _measure_time(seconds: Histogram | None) -> Iterator[None]:
    if seconds is None:
        yield
        return
    with seconds.time():
        yield


def _mark(span: Span, error: BaseException) -> None:
    """Record the kind of an error without its message, which may quote users' text."""
    span.set_status(Status(StatusCode.ERROR))
    span.set_attribute("error.type", type(error).__name__)


class PausableStep:
    """A span over work done in steps, possibly by several threads in turn."""

    def __init__(
        self, name: str, kind: SpanKind | None = None, attributes: Mapping[str, AttributeValue] | None = None
    ) -> None:
        self._span = _tracer.start_span(name, attributes=_with_kind(attributes, kind))

    @contextmanager
    def resume(self) -> Iterator[None]:
        """Make it the current span. An error in it fails the span; StopIteration doesn't."""
        with trace.use_span(self._span, record_exception=False, set_status_on_exception=False):
            try:
                yield
            except StopIteration:
                raise
            except Exception as error:
                _mark(self._span, error)
                raise

    def iterate(self, items: Iterator[_T]) -> Iterator[_T]:
        """Yield the items, each computed within the step."""
        while True:
            with self.resume():
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item

    def end(self, results: Callable[[], Mapping[str, AttributeValue]] = dict) -> None:
        """End the span. `results` is called if the span is recorded, for attributes only known now."""
        if self._span.is_recording():
            self._span.set_attributes(results())
            self._span.end()


def request_span(method: str) -> AbstractContextManager[Span]:
    return _tracer.start_as_current_span(
        method, kind=ProtocolKind.SERVER, record_exception=False, set_status_on_exception=False
    )


def request_routed(method: str, route: str, status: int) -> None:
    """Name the request's span by its route. The path would reveal ids."""
    span = trace.get_current_span()
    if span.is_recording():
        span.update_name(f"{method} {route}")
        span.set_attributes(
            {"http.request.method": method, "http.route": route, "http.response.status_code": status}
        )
