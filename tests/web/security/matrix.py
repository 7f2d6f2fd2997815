"""Sends every actor through every route and reports unexpected responses."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client

from tests.web.security.discovery import Found, routes_of
from tests.web.security.guards import LET_IN, LOGIN, Answer, Route, expected
from tests.web.security.world import SECRET, Ticket, World

FILE = "file"
TABLE = "tests/web/security/routes.py"


def faults_of_list(urlconf: str, routes: Sequence[Route]) -> list[str]:
    """Routes that the table does not have, or has and are not there, or has twice."""
    present = routes_of(urlconf)
    listed = [(route.method, route.path) for route in routes]
    return [
        *(_unlisted(found) for found in sorted(present - set(listed))),
        *(
            f"{method} {path} is not there any more: take its line out of {TABLE}"
            for method, path in sorted(set(listed) - present)
        ),
        *(f"{method} {path} is listed twice in {TABLE}" for method, path in sorted(_twice(listed))),
    ]


def _unlisted(found: Found) -> str:
    method, path = found
    door, short = ("api", path.removeprefix("/api/v1")) if path.startswith("/api/v1/") else ("page", path)
    return (
        f'{method} {path} is not listed: add a line to {TABLE}: {door}("{method}", "{short}", Guard.…), '
        "with the guard of those who may (see guards.py), a body that is valid, and in world.py a thing for "
        "each new parameter of the path"
    )


def _twice(listed: Sequence[Found]) -> set[Found]:
    return {each for each in listed if listed.count(each) > 1}


def faults_of_answers(routes: Iterable[Route], world: World) -> Iterator[str]:
    client = from_elsewhere()
    for route in routes:
        for ticket in world.tickets:
            if fault := _fault(route, ticket, world, client):
                yield fault


def from_elsewhere(**options: Any) -> Client:
    """Return one client for many requests, since each new one loads the middleware again."""
    return Client(raise_request_exception=False, REMOTE_ADDR="203.0.113.7", **options)


def _fault(route: Route, ticket: Ticket, world: World, client: Client) -> str:
    """Whatever the request changes is taken back."""
    with transaction.atomic():
        response = send(route, ticket, world, client)
        transaction.set_rollback(True)
    wanted, found = expected(route, ticket.actor), answer_of(route, response)
    if found != wanted:
        return f"{route} as {ticket.actor.name}: expected {wanted}, got {found} ({response.status_code})"
    if wanted != LET_IN and SECRET.encode() in response.content:
        return f"{route} as {ticket.actor.name}: turned away, but told the secret"
    return ""


def send(route: Route, ticket: Ticket, world: World, client: Client, **more: str) -> Any:
    ticket.come(client)
    path = filled(route.path, world) + (f"?{filled(route.query, world)}" if route.query else "")
    headers = {**ticket.headers(), **more}
    if route.form is not None:
        form = {
            name: SimpleUploadedFile("new.md", b"# New") if value == FILE else filled(value, world)
            for name, value in route.form.items()
        }
        return client.post(path, form, headers=headers)
    data = {} if route.body is None else {"data": json.dumps(filled(route.body, world))}
    return client.generic(route.method, path, content_type="application/json", headers=headers, **data)


def filled(value: Any, world: World) -> Any:
    """Replace names in braces by ids."""
    match value:
        case str():
            for name, thing in world.things.items():
                value = value.replace(f"{{{name}}}", thing)
            return value
        case dict():
            return {key: filled(each, world) for key, each in value.items()}
        case list():
            return [filled(each, world) for each in value]
        case _:
            return value


def answer_of(route: Route, response: Any) -> Answer:
    status = int(response.status_code)
    if response.get("Location", "").startswith("/login?"):
        return LOGIN
    let_in = status < 400 if route.lets_in is None else status == route.lets_in
    return LET_IN if let_in else status
