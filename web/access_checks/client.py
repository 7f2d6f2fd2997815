"""In-process HTTP requests through the whole web application."""

import logging
import secrets
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Any, Self
from urllib.parse import urlencode
from uuid import UUID

import httpx
from anyio.from_thread import start_blocking_portal
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest

from cairn.accounts.models import User
from cairn.asgi import application
from cairn.audit.services import mark_events_of_check
from web.access_checks.canaries import Person

SESSION_SECONDS = 1800
_refusals = logging.getLogger("django.request")


@dataclass(frozen=True, slots=True)
class Request:
    """A request. `page`: sent with a browser session instead of a key. `file` is (name, content)."""

    how: str
    method: str
    path: str
    body: Any = None
    page: bool = False
    file: tuple[str, bytes] | None = None

    @property
    def sent(self) -> str:
        """Request content that the response may repeat."""
        name = self.file[0] if self.file else ""
        return f"{self.path} {self.body!r} {name}".lower()


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    text: str
    """Headers and body, in lower case."""

    body: bytes


class InProcessApplication:
    """The web application without a network. Refused requests are not logged, as hundreds are expected."""

    def __init__(self, check: UUID) -> None:
        self._check = check
        self._agent = f"cairn-access-check {secrets.token_hex(16)}"
        self._loop = start_blocking_portal()  # in a thread of its own: this one may serve a request
        transport = httpx.ASGITransport(app=application, raise_app_exceptions=False)
        headers = {"User-Agent": self._agent}
        self._http = httpx.AsyncClient(transport=transport, base_url=_origin(), headers=headers)

    def __enter__(self) -> Self:
        self._portal = self._loop.__enter__()
        _refusals.addFilter(self._foreign)
        return self

    def __exit__(self, *_: object) -> None:
        _refusals.removeFilter(self._foreign)
        self._portal.call(self._http.aclose)
        self._loop.__exit__(None, None, None)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        call = partial(self._http.request, method, path, **options)
        return Context().run(self._call, call)  # not inside of whatever this thread is in

    def _call(self, call: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        with mark_events_of_check(self._check):
            return self._portal.call(call)

    def _foreign(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        agent = request.headers.get("User-Agent") if isinstance(request, HttpRequest) else None
        return agent != self._agent or record.levelno > logging.WARNING


def _origin() -> str:
    """Return an origin that is not redirected: the first allowed host, with TLS if configured."""
    host = next((name.lstrip(".") for name in settings.ALLOWED_HOSTS if name != "*"), "localhost")
    return f"{'https' if settings.SESSION_COOKIE_SECURE else 'http'}://{host}"


class Visitor:
    """A person with an API key and a browser session."""

    def __init__(self, application: InProcessApplication, person: Person) -> None:
        self._application = application
        self.person = person
        self._session = _session(person.user) if person.may_sign_in else ""

    def send(self, request: Request) -> Reply:
        answer = self._application.request(
            request.method,
            request.path,
            json=request.body,
            files={"file": request.file} if request.file else None,
            headers=self._headers(request),
        )
        heads = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
        text = answer.content.decode("utf-8", "replace")
        return Reply(answer.status_code, f"{heads}\n\n{text}".lower(), answer.content)

    def _headers(self, request: Request) -> dict[str, str]:
        if request.page:
            return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={self._session}"}
        return {"Authorization": f"Bearer {self.person.key}"}


def _session(user: User) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.set_expiry(SESSION_SECONDS)
    session.save()
    assert session.session_key is not None
    return session.session_key


def query(path: str, **fields: str) -> str:
    return f"{path}?{urlencode(fields)}"
