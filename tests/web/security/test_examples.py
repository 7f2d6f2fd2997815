"""Examples in the API's description are real: recorded here through HTTP, and compared with the description.

`UPDATE_DOCS=1` records them anew. Requests and who sends them come from the list of routes.
"""

import json
import os
import re
from dataclasses import replace
from functools import cache
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from django.conf import settings
from django.db import transaction
from jsonschema import Draft202012Validator

from cairn.library.models import Document
from retrieval.engine import Engine
from tests.web.api.conftest import Caller, indexed
from tests.web.security.guards import Door, Guard, Route
from tests.web.security.matrix import filled, from_elsewhere, send
from tests.web.security.routes import ROUTES
from tests.web.security.world import World
from web.api.api import api
from web.api.framework.examples import EXAMPLES_FILE, PROBLEM, load_examples

JSON = "application/json"
ASKERS = ("manager", "admin")
SERVER = "https://cairn.example.org"
LONGEST = 300
QUESTION = {"question": "How many days of leave do employees get?"}
ASK = "/api/v1/ask"
BETTER_BODIES = {
    ASK: QUESTION,
    "/api/v1/search": {"query": "When does the Umbra merger close?", "top_k": 1},
}
"""The list of routes only has what decides who may use them."""
DESCRIBED_WRONGLY = ("/api/v1/index/compare",)
"""Since 0.1.0 its questions are described as another model that has the same name, which can't change."""
NOWHERE = Route("GET", "/api/v1/documents/0", Door.API, Guard.SIGNED_IN)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TOKEN = re.compile(r"set-password#[\w-]+")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@cache
def described() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema(path_prefix="/api/"), default=str))
    return schema


def operation_of(route: Route) -> dict[str, Any]:
    """Return the described operation; names of parameters in the list of routes may differ."""
    blank = re.compile(r"{\w+}")
    [found] = [
        methods[route.method.lower()]
        for path, methods in described()["paths"].items()
        if blank.sub("{}", path) == blank.sub("{}", route.path) and route.method.lower() in methods
    ]
    operation: dict[str, Any] = found
    return operation


def with_better_body(route: Route) -> Route:
    body = BETTER_BODIES.get(route.path)
    return replace(route, body=body, lets_in=None) if body else route


OPERATIONS = [
    with_better_body(route)
    for route in ROUTES
    if route.door is Door.API and route.path.startswith("/api/v1/")
]


def tidied(value: Any) -> Any:
    """Ids, times and digests as they might be; long texts and lists are shortened."""
    text = json.dumps(value, ensure_ascii=False)
    for found, published in ((settings.DATA_DIR, "/var/lib/cairn"), ("http://testserver", SERVER)):
        text = text.replace(str(found), published)
    text = _TOKEN.sub("set-password#TOKEN", text)
    ids: dict[str, str] = {}

    def name(match: re.Match[str]) -> str:
        return ids.setdefault(match[0], str(uuid5(NAMESPACE_URL, f"example {len(ids)}")))

    text = _TIME.sub("2026-11-30T09:00:00Z", _UUID.sub(name, text))
    return shortened(json.loads(_DIGEST.sub(sha256(b"example").hexdigest(), text)))


def shortened(value: Any) -> Any:
    match value:
        case dict():
            return {key: shortened(each) for key, each in value.items()}
        case list():
            return [shortened(each) for each in value[:2]]
        case str():
            return value if len(value) <= LONGEST else f"{value[:LONGEST]}…"
    return value


def exchange(route: Route, world: World) -> dict[str, Any]:
    """Send the request as the first person who may, and take back what it changes."""
    client = from_elsewhere()
    for asker in ASKERS:
        with transaction.atomic():
            response = send(route, world.ticket(asker), world, client)
            content = response.content if not response.streaming else b""
            transaction.set_rollback(True)
        if response.status_code < 400:
            break
    example: dict[str, Any] = {}
    if route.body is not None and isinstance(route.body, dict | list):
        example["request"] = filled(route.body, world)
    if response.status_code < 400 and response.get("Content-Type", "").startswith(JSON) and content:
        example |= {"status": str(response.status_code), "response": json.loads(content)}
    found: dict[str, Any] = tidied(example)
    return found


def shape(value: Any) -> Any:
    """Names and nesting of what a program reads; lists by what their items have."""
    match value:
        case dict():
            return {key: shape(each) for key, each in value.items()}
        case list():
            return [shape(value[0])] if value else []
    return None


@pytest.fixture
def recorded(world: World) -> dict[str, Any]:
    sent = [route for route in OPERATIONS if route.path != ASK]  # answers are written by another thread
    found = {operation_of(route)["operationId"]: exchange(route, world) for route in sent}
    problem = send(NOWHERE, world.ticket("manager"), world, from_elsewhere())
    found[PROBLEM] = {"status": "404", "response": tidied(problem.json())}
    return {name: example for name, example in sorted(found.items()) if example}


def assert_stored(recorded: dict[str, Any]) -> None:
    if os.environ.get("UPDATE_DOCS"):
        merged = dict(sorted({**load_examples(), **recorded}.items()))
        text = json.dumps(merged, ensure_ascii=False, indent=1)
        EXAMPLES_FILE.write_text(text + "\n", encoding="utf-8")
        load_examples.cache_clear()
    stored = load_examples()
    for name, example in recorded.items():
        assert shape(stored[name]) == shape(example), f"{name}: run this test with UPDATE_DOCS=1"


def test_examples_match_server_responses(recorded: dict[str, Any]) -> None:
    assert_stored(recorded)
    assert load_examples().keys() - recorded.keys() == {"ask"}


@pytest.mark.django_db(transaction=True)
def test_answer_example_matches_the_server_response(mia: Caller, document: Document, parts: Engine) -> None:
    indexed(document, parts, "Employees get 25 days of leave a year.")
    response = mia.post("/ask", QUESTION)
    assert response.status_code == 200
    answer = response.json()
    assert "25 days" in answer["answer"]
    assert_stored({"ask": tidied({"request": QUESTION, "status": "200", "response": answer})})


@pytest.mark.parametrize("route", OPERATIONS, ids=str)
def test_examples_match_the_openapi_schema(route: Route) -> None:
    operation = operation_of(route)
    example = load_examples().get(operation["operationId"], {})
    if "request" in example:
        content = operation["requestBody"]["content"][JSON]
        assert content["example"] == example["request"]
        if route.path not in DESCRIBED_WRONGLY:
            validator(content["schema"]).validate(example["request"])
    if "response" in example:
        content = operation["responses"][example["status"]]["content"][JSON]
        assert content["example"] == example["response"]
        validator(content["schema"]).validate(example["response"])


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": described()["components"]})


@pytest.mark.parametrize("route", OPERATIONS, ids=str)
def test_every_json_body_has_an_example(route: Route) -> None:
    operation = operation_of(route)
    example = load_examples().get(operation["operationId"], {})
    if JSON in operation.get("requestBody", {}).get("content", {}) and route.body not in (None, {}):
        assert "request" in example
    succeeds = route.lets_in is None or route.lets_in < 400
    if succeeds and _answers_json(operation):
        assert "response" in example


def _answers_json(operation: dict[str, Any]) -> bool:
    """Return whether every successful answer is JSON."""
    good = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    return bool(good) and all(set(answer.get("content", {})) == {JSON} for answer in good)
