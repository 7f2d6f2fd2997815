"""The API conforms to its OpenAPI description, whatever is sent."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import schemathesis
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.transport import Response
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cairn.limits.rules import Measure
from cairn.limits.services import limit_set
from tests.web.api.conftest import streamed
from tests.web.security.matrix import from_elsewhere
from tests.web.security.world import Ticket, World

pytestmark = pytest.mark.slow

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 4
"""Of each operation, person and way: as described, and not so."""
ASK = ("post", "/api/v1/ask")
EVENTS = "text/event-stream"
HERE = "http://testserver"


@dataclass
class Caller:
    """Sends generated requests in a session, and checks the responses."""

    ticket: Ticket
    world: World
    taken_back: bool = True
    client: Client = field(default_factory=from_elsewhere)
    statuses: dict[int, int] = field(default_factory=dict)

    def try_out(self, case: Case) -> None:
        request = requests.Request(**case.as_transport_kwargs(base_url=HERE)).prepare()
        found = self._sent(request)
        self.statuses[found.status_code] = self.statuses.get(found.status_code, 0) + 1
        checks = [check for check in CHECKS if not _streams(found) or "schema" not in check.__name__]
        case.validate_response(found, checks=checks)

    def _sent(self, request: requests.PreparedRequest) -> Response:
        if not self.taken_back:
            return self._answer(request)
        with transaction.atomic():
            answer = self._answer(request)
            transaction.set_rollback(True)
        return answer

    def _answer(self, request: requests.PreparedRequest) -> Response:
        self.ticket.come(self.client)
        headers = {
            name: value for name, value in request.headers.items() if name not in {"Authorization", "Cookie"}
        }
        media_type = headers.pop("Content-Type", "")
        response = self.client.generic(
            request.method or "",
            str(request.url).removeprefix(HERE),
            data=request.body or b"",
            content_type=media_type,
            headers=headers,
        )
        content = streamed(response, until=b"\n\n") if response.streaming else response.content
        told = {name: [value] for name, value in response.items()}
        return Response(response.status_code, told, content, request, elapsed=0.0, verify=False)


def _streams(response: Response) -> bool:
    return response.headers.get("content-type", [""])[0].startswith(EVENTS)


def operations(caller: Caller) -> Iterator[APIOperation]:
    caller.ticket.come(caller.client)
    described = caller.client.get("/api/openapi.json").json()
    for found in schemathesis.openapi.from_dict(described).get_all_operations():
        yield found.ok()


def faults(caller: Caller, operation: APIOperation, examples: int) -> Iterator[str]:
    """Send requests as described, with existing ids and without, and invalid ones."""
    for mode in GenerationMode:
        try:
            _try_out(caller, operation, mode, examples)
        except (Failure, FailureGroup) as failure:
            yield f"{operation.label}: {_text(failure)}"


def _text(failure: BaseException) -> str:
    inner = failure.exceptions if isinstance(failure, FailureGroup) else [failure]
    notes = [note for each in inner for note in getattr(each, "__notes__", [])]
    return " ".join([*(f"{each} {getattr(each, 'message', '')}" for each in inner), *notes])[:1500]


def _try_out(caller: Caller, operation: APIOperation, mode: GenerationMode, examples: int) -> None:
    ids = {name: thing for name, thing in caller.world.things.items() if f"{{{name}}}" in operation.path}
    cases = operation.as_strategy(generation_mode=mode)

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases, st.booleans())
    def run(case: Case, there: bool) -> None:
        if there and ids:
            case.path_parameters = {**(case.path_parameters or {}), **ids}
        caller.try_out(case)

    run()


def as_person(name: str, world: World, **options: Any) -> Caller:
    [ticket] = [ticket for ticket in world.tickets if ticket.actor.name == name]
    return Caller(ticket, world, **options)


@pytest.mark.faults
@pytest.mark.parametrize("name", [pytest.param("reader", marks=pytest.mark.acceptance), "admin"])
def test_every_response_matches_the_openapi_description(world: World, name: str) -> None:
    # A stream releases its slot in another thread, which would wait for the transaction of this one.
    limit_set(subject="everyone", values={Measure.FOLLOWED_AT_ONCE: None}, actor=None)
    caller = as_person(name, world)
    tried = [each for each in operations(caller) if (each.method, each.path) != ASK]
    found = [fault for operation in tried for fault in faults(caller, operation, EXAMPLES)]
    assert not found, "\n\n".join(found)
    assert len(tried) > 70
    assert {200, 404, 422} <= caller.statuses.keys()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["reader", "admin"])
def test_ask_responses_match_the_openapi_description(world: World, name: str) -> None:
    """The answer is written in a thread of its own, so nothing can be taken back."""
    caller = as_person(name, world, taken_back=False)
    [ask] = [each for each in operations(caller) if (each.method, each.path) == ASK]
    found = list(faults(caller, ask, 10))
    assert not found, "\n\n".join(found)
    assert 200 in caller.statuses
