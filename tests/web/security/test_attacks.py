"""Common attacks on every route or field of a kind are rejected, or do nothing."""

import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import connections, transaction
from django.test import Client
from kombu import Exchange, Producer, Queue

from cairn.accounts.models import ApiKey, User
from cairn.accounts.services import user_create
from cairn.celery import app
from cairn.library.models import Document, DocumentVersion, KnowledgeBase
from ingestion.models import IdempotencyKey, Job
from retrieval.engine import Engine
from tests.conftest import PASSWORD
from tests.web.api.conftest import Caller, Response, assert_problem, indexed, streamed
from tests.web.security.guards import LET_IN, Door, Route, expected
from tests.web.security.matrix import from_elsewhere, send
from tests.web.security.routes import ROUTES
from tests.web.security.test_ids import ABSENT, visible_response
from tests.web.security.world import Ticket, World

pytestmark = pytest.mark.slow


def most_powerful(route: Route, world: World) -> Ticket:
    """Return the admin, or the owner."""
    let_in = [ticket for ticket in world.tickets if expected(route, ticket.actor) == LET_IN]
    return next((ticket for ticket in let_in if ticket.actor.name == "admin"), let_in[0])


def sent(
    route: Route, world: World, client: Client, ticket: Ticket | None = None, *, query: str = ""
) -> Response:
    """Send as the most powerful actor by default. Changes are rolled back."""
    if query:
        route = replace(route, query="&".join(filter(None, [route.query, query])))
    with transaction.atomic():
        response = send(route, ticket or most_powerful(route, world), world, client)
        transaction.set_rollback(True)
    return response


def let_in(route: Route, response: Response) -> bool:
    """The request got past the guard."""
    status = int(response.status_code)
    return status < 400 if route.lets_in is None else status == route.lets_in


def test_undocumented_form_fields_are_not_assigned(mia: Caller, base: KnowledgeBase, rob: Caller) -> None:
    sent = mia.upload(str(base.id), "a.md", b"a", status="ready", owner=str(rob.user.id), version="7")
    assert_problem(sent, 422, "invalid")
    mia.client.force_login(mia.user)
    form = {"label": "k", "scopes": ["search"], "expires": "", "user": str(rob.user.id), "digest": "0" * 64}
    mia.client.post("/account/keys", {**form, "is_admin": "on", "is_staff": "on"})
    key = ApiKey.objects.get(label="k")
    assert (key.user, key.scopes) == (mia.user, ["search"])
    assert key.digest != "0" * 64
    assert not User.objects.get(pk=mia.user.id).is_admin


LOOKUPS = (
    "user__password__startswith=md5&knowledge_base__name__regex=.*&id__gt=0&username__in=admin&q__regex=.*"
    "&title__contains=x&deleted_at__isnull=False&pk=1&_connector=OR&_negated=True"
    "&order_by=user__password&ordering=-user__api_keys__digest&o=-password&fields=digest"
)


def test_query_strings_reach_no_operator_and_no_ordering(world: World) -> None:
    """Every operation that reads answers as it does without them, and pages do too."""
    client, compared = from_elsewhere(), 0
    for route in ROUTES:
        if route.method != "GET" or route.door is Door.PUBLIC or route.path in CHANGEABLE:
            continue
        plain = sent(route, world, client)
        attacked = sent(route, world, client, query=LOOKUPS)
        assert attacked.status_code == plain.status_code, str(route)
        if "Location" in plain:  # it leads back to the whole address
            assert attacked["Location"].partition("?")[0] == plain["Location"].partition("?")[0]
        elif not plain.streaming:
            assert visible_response(attacked) == visible_response(plain), str(route)
        compared += 1
    assert compared > 60


CHANGEABLE = {"/metrics", "/api/v1/audit", "/admin/audit", "/api/docs"}
"""They tell of requests before, or hold a new token each time."""
QUOTED = (
    "'", '"', "' OR '1'='1", "1; DROP TABLE library_document--",
    "x' UNION SELECT password FROM accounts_user--",
    "%27%20OR%201=1", "{{7*7}}", "${jndi:ldap://evil.example}", "..%2f..%2fetc%2fpasswd", "*",
    "\\", "`id`", "%0d%0aX-A: b",
)  # fmt: skip


@pytest.mark.parametrize("text", QUOTED)
def test_quotes_in_an_id_match_nothing(world: World, text: str) -> None:
    """In every parameter of every path with an id, it is treated as unknown."""
    client = from_elsewhere()
    named = {name for name in world.things if name.endswith("_id")}
    for route in ROUTES:
        for name in named.intersection(re.findall(r"{(\w+)}", route.path)):
            quoted, absent = (
                sent(route, World({**world.things, name: value}, world.tickets), client)
                for value in (text, ABSENT)
            )
            assert absent.status_code == quoted.status_code == 404, f"{route} {quoted.content!r}"


@pytest.mark.parametrize(
    "text", ["'", '"', "' OR '1'='1", '"]}', "%", "_", "*", "\\", "\\' OR 1=1 --", "a'); --"]
)
def test_quotes_in_filters_match_only_literally(
    mia: Caller, document: Document, parts: Engine, text: str
) -> None:
    indexed(document, parts, "Employees get 25 days of leave a year.")
    base = document.knowledge_base_id
    for filters in ({"source_uri": text}, {"tags": [text]}, {"document_ids": [text]}):
        found = mia.post("/search", {"query": "leave", "filters": filters})
        assert (found.status_code, found.json()["results"]) == (200, [])
    for name in ("q", "tag", "parent"):
        response = mia.client.get(
            f"/api/v1/knowledge-bases/{base}/documents", {name: text},
            headers={"Authorization": f"Bearer {mia.key}"},
        )  # fmt: skip
        assert (response.status_code, response.json()["items"]) == (200, []), name
    assert_problem(Caller(mia.user, f"{mia.key}{text}").get("/me"), 401, "not_signed_in")
    assert_problem(Caller(mia.user, text).get("/me"), 401, "not_signed_in")


@pytest.fixture
def disk(settings: Any, tmp_path: Path) -> Path:
    storage = f"{FileSystemStorage.__module__}.FileSystemStorage"
    default = {"BACKEND": storage, "OPTIONS": {"location": str(tmp_path / "data" / "files")}}
    settings.STORAGES = {**settings.STORAGES, "default": default}
    return tmp_path


@pytest.mark.parametrize(
    "name",
    ["../../escaped.md", "/etc/escaped.md", "..\\..\\escaped.md", "C:\\escaped.md", "file:///etc/escaped.md",
     "....//....//escaped.md", "%2e%2e%2fescaped.md", "a/../../../escaped.md"],
)  # fmt: skip
def test_source_name_is_not_used_as_a_path(mia: Caller, base: KnowledgeBase, disk: Path, name: str) -> None:
    made = mia.upload(str(base.id), "a.md", b"# Escaped", source_uri=name, title=name)
    assert made.status_code == 202, made.content
    assert made.json()["document"]["source_uri"] == name
    [file] = [path for path in disk.rglob("*") if path.is_file()]
    version = DocumentVersion.objects.get()
    assert file.parent.is_relative_to(disk / "data" / "files")
    assert str(version.id) in str(file)
    assert "escaped" not in str(file)
    content = mia.get(f"/documents/{version.document_id}/content")
    assert re.fullmatch(r'attachment; filename="[\w-]+\.md"', content["Content-Disposition"])
    assert streamed(content)


LINES = (
    "a\r\nSet-Cookie: admin=1",
    "a\nX-Injected: 1",
    'a"; filename="b.exe',
    "a\x0b\x0c\x85\u2028X-Injected: 1",
)


@pytest.mark.parametrize("name", LINES)
def test_no_title_gets_a_line_into_a_header(mia: Caller, document: Document, name: str) -> None:
    changed = mia.patch(f"/documents/{document.id}", {"title": name})
    assert changed.status_code == 200
    content = mia.get(f"/documents/{document.id}/content")
    assert content.headers.keys().isdisjoint({"Set-Cookie", "X-Injected"})
    assert re.fullmatch(r'attachment; filename="[\w-]+\.md"', content["Content-Disposition"])
    assert streamed(content)


class Marks:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_queue_accepts_no_pickles(tmp_path: Path) -> None:
    """Access to the broker must not be enough to run code in a worker."""
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == app.conf.result_serializer == "json"
    refused: list[str] = []
    opened: list[Any] = []
    queue = Queue("pickles", Exchange(""), routing_key="pickles")
    bodies = {"pickle": Marks(tmp_path / "mark"), "yaml": ["a"], "json": ["a"]}
    with app.connection_for_write() as connection, connection.channel() as channel:
        consumer = app.amqp.TaskConsumer(
            channel, queues=[queue], on_decode_error=lambda _, error: refused.append(type(error).__name__)
        )
        consumer.register_callback(lambda body, _: opened.append(body))
        for serializer, body in bodies.items():
            producer = Producer(channel, serializer=serializer)
            producer.publish(body, routing_key=queue.name, declare=[queue])
        with consumer:
            for _ in bodies:
                connection.drain_events(timeout=2)
    assert refused == ["ContentDisallowed", "ContentDisallowed"]
    assert opened == [["a"]]
    assert not (tmp_path / "mark").exists()


@pytest.mark.django_db(transaction=True)
def test_concurrent_equal_uploads_are_processed_once(mia: Caller, base: KnowledgeBase) -> None:
    def upload(_: int) -> tuple[int, Any]:
        try:
            caller = Caller(mia.user, mia.key)
            response = caller.upload(str(base.id), "a.md", b"# Once", {"Idempotency-Key": "once"})
            return response.status_code, json.loads(response.content)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(upload, range(6)))
    assert {status for status, _ in answers} == {202}
    assert len({(body["document"]["id"], body["job"]["id"]) for _, body in answers}) == 1
    counts = (Document.objects.count(), DocumentVersion.objects.count(), Job.objects.count())
    assert (*counts, IdempotencyKey.objects.count()) == (1, 1, 1, 1)


ELSEWHERE = (
    "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "https:evil.example",
    "javascript:alert(1)", "data:text/html,x", "///evil.example", "/%09/evil.example", "http:///evil.example",
    "https://testserver@evil.example/", " https://evil.example",
    "\thttps://evil.example",
)  # fmt: skip


def _pages_that_redirect() -> Iterator[tuple[str, dict[str, str]]]:
    yield "/login", {"login": "rob", "username": "rob", "password": PASSWORD}
    yield "/logout", {}
    yield "/view-as/stop", {}


@pytest.mark.parametrize("target", ELSEWHERE)
@pytest.mark.parametrize("in_query", [True, False])
def test_redirects_stay_on_the_site(db: None, target: str, in_query: bool) -> None:
    """After signing in or out, and ending a view: whatever `next` contains, in the address or in the form."""
    user = user_create(username="rob", password=PASSWORD)
    for path, form in _pages_that_redirect():
        client = Client()
        if path != "/login":
            client.force_login(user)
        if in_query:
            response = client.post(path, form, query_params={"next": target})
        else:
            response = client.post(path, {**form, "next": target})
        assert response.status_code == 302, path
        assert re.match(r"/(?![/\\])", response["Location"]), path
        assert "//evil" not in response["Location"]
        assert "\\" not in response["Location"]
