"""Security headers of every route and response, and the cookie settings of production."""

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from tests.environment import clean_environment
from tests.servers import ROOT
from tests.web.security.guards import SAFE, Route
from tests.web.security.matrix import from_elsewhere, send
from tests.web.security.routes import ROUTES
from tests.web.security.world import World

pytestmark = pytest.mark.slow

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'self'",
}
INLINE = re.compile(
    rb"<style|<[a-z][^>]*\s(?:style|on[a-z]+)\s*=|javascript:|<script(?![^>]*\b(?:src=|type=\"application/json\"))",
    re.IGNORECASE,
)
VISITORS = {"anonymous", "manager", "admin"}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def faults(route: Route, response: Any) -> Iterator[str]:
    for name, value in ALWAYS.items():
        if response.get(name) != value:
            yield f"{route}: {name} is {response.get(name)}"
    policy = dict(part.strip().split(" ", 1) for part in response["Content-Security-Policy"].split(";"))
    if policy != POLICY:
        yield f"{route}: the content security policy is {policy}"
    if "camera=()" not in response.get("Permissions-Policy", ""):
        yield f"{route}: no permissions policy"
    if not {"no-store", "no-cache", "private"} & set(re.split(r"[,\s]+", response.get("Cache-Control", ""))):
        yield f"{route}: may be kept by caches on the way ({response.status_code})"
    html = response.get("Content-Type", "").startswith("text/html") and not response.streaming
    if html and (found := INLINE.search(response.content)):
        yield f"{route}: has inline {found[0]!r}"


def test_every_route_has_security_headers_and_no_inline_code(world: World) -> None:
    client = from_elsewhere()
    visitors = [ticket for ticket in world.tickets if ticket.actor.name in VISITORS]
    assert len(visitors) == len(VISITORS)
    found = [
        fault
        for route in ROUTES
        if route.method in SAFE
        for ticket in visitors
        for fault in faults(route, send(route, ticket, world, client))
    ]
    assert not found, "\n".join(found)


def test_errors_have_security_headers(db: None) -> None:
    client = Client(raise_request_exception=False)
    nowhere = Route("GET", "/no/such/page", ROUTES[0].door, ROUTES[0].guard)
    for response in (client.get("/no/such/page"), client.get("/", headers={"Host": "evil.example"})):
        assert response.status_code in {400, 404}
        assert list(faults(nowhere, response)) == []


def test_static_files_have_security_headers(db: None) -> None:
    response = Client().get("/static/css/cairn.css")
    assert response.status_code == 200
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"


# As in production: behind a proxy with TLS ----------------------------------------------------------------

PRODUCTION = {
    "SECRET_KEY": "0123456789abcdef" * 4,
    "ALLOWED_HOSTS": "cairn.example.org",
    "TRUSTED_ORIGINS": "https://cairn.example.org",
}
CHECK = """
import django
django.setup()
from django.conf import settings
from django.core.management import call_command
from web.http.middleware import EverywhereMiddleware, ViewsMiddleware

layers = [*EverywhereMiddleware.layers, *ViewsMiddleware.layers]
settings.MIDDLEWARE = [*settings.MIDDLEWARE, *(f"{layer.__module__}.{layer.__name__}" for layer in layers)]
by_name = {"security.W001", "security.W002", "security.W003"}
settings.SILENCED_SYSTEM_CHECKS = [each for each in settings.SILENCED_SYSTEM_CHECKS if each not in by_name]
call_command("check", deploy=True, fail_level="INFO")
"""
ASK = """
import asyncio, json, django
django.setup()
from cairn.asgi import application

async def ask(peer, *headers):
    sent = []
    path, asked = "/static/css/cairn.css", False
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "client": (peer, 1), "server": ("127.0.0.1", 80),
        "headers": [(b"host", b"cairn.example.org"), *headers],
    }
    async def receive():
        nonlocal asked
        if asked:
            await asyncio.sleep(30)
        asked = True
        return {"type": "http.request", "body": b""}
    async def send(message):
        sent.append(message)
    await application(scope, receive, send)
    return {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}

from django.conf import settings
https = (b"x-forwarded-proto", b"https")
print(json.dumps({
    "proxy": asyncio.run(ask("127.0.0.1", https)),
    "stranger": asyncio.run(ask("192.0.2.7", https)),
    "session": [getattr(settings, f"SESSION_COOKIE_{name}") for name in ("SECURE", "HTTPONLY", "SAMESITE")],
    "csrf": [settings.CSRF_COOKIE_SECURE, settings.CSRF_COOKIE_SAMESITE],
}))
"""


def run(tmp_path: Any, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**clean_environment(str(tmp_path)), **PRODUCTION, "PYTHONPATH": os.pathsep.join(sys.path)}
    (tmp_path / "static").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, *command], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "command", [("manage.py", "check", "--deploy", "--fail-level", "INFO"), ("-c", CHECK)]
)
def test_django_deployment_check_finds_nothing(tmp_path: Any, command: tuple[str, ...]) -> None:
    """The second time with its own layers by their names: without them, it looks at much less."""
    done = run(tmp_path, *command)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_hsts_is_sent_behind_a_trusted_tls_proxy(tmp_path: Any) -> None:
    done = run(tmp_path, "-c", ASK)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["proxy"]["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in told["stranger"]
    assert told["session"] == [True, True, "Lax"]
    assert told["csrf"] == [True, "Lax"]
