"""Tests of servers that admins name: is it there, and does it do what Cairn needs?"""

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Final
from uuid import UUID

from django.db import connections
from django.utils import translation
from django.utils.translation import gettext
from requests import RequestException

from cairn.audit.services import record
from cairn.http import ssrf_guard
from cairn.inference.model_checks import Report, chat_reports, measure_chat_model
from cairn.messages import CodedMessage
from cairn.settings import Environment, environment
from cairn.settings.stored.sections import LanguageModel, Mail, Section, SignIn
from cairn.settings.stored.store import overrides_of
from web.health.secrets import without_secrets
from web.i18n.localize import localize
from web.identity.provider_requests import (
    ENDPOINTS,
    ProviderSession,
    UnreadableResponse,
    names_plain_endpoint,
)
from web.mail.check import check_mail_server
from web.mail.server import MailServer

LIMIT_SECONDS: Final = 20
_RESPONSE_SECONDS: Final = 15.0
_MOST_AT_ONCE: Final = 3
_places: Final = threading.BoundedSemaphore(_MOST_AT_ONCE)
_DISCOVERY: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class ConnectionResult:
    """`problem` is empty if the server works. `remarks`: what is worth knowing even then."""

    problem: str = ""
    milliseconds: int = 0
    remarks: tuple[str, ...] = ()


def run_test(section: Section, *, actor: UUID | None) -> ConnectionResult:
    """Ask the server that a section names, for at most LIMIT_SECONDS."""
    began = time.monotonic()
    found = _test(section)
    took = round((time.monotonic() - began) * 1000)
    action = "models.checked" if isinstance(section, LanguageModel) else "settings.tested"
    subject = "model:chat" if isinstance(section, LanguageModel) else f"settings:{section.key}"
    record(action, actor=actor, subject=subject, answered=not found.problem, milliseconds=took)
    return ConnectionResult(found.problem, found.milliseconds or took, found.remarks)


def measure_language_model(
    given: Environment, *, actor: UUID | None, subject: str
) -> tuple[ConnectionResult, Report | None]:
    """Ask the server of a language model, and return what it can do; None if it didn't respond in time."""
    found: list[Report] = []
    began = time.monotonic()
    result = _within_limit(partial(_measure_language_model, given, found))
    took = round((time.monotonic() - began) * 1000)
    record("models.checked", actor=actor, subject=subject, answered=not result.problem, milliseconds=took)
    return result, next(iter(found), None)


def _test(section: Section) -> ConnectionResult:
    given = environment().with_stored(overrides_of(section))
    match section:
        case LanguageModel():
            return _within_limit(partial(_ask_language_model, given))
        case SignIn(server_url=str(url)):
            return _within_limit(partial(_ask_provider, url))
        case Mail() if server := MailServer.of(given):
            return _within_limit(partial(_ask_mail_server, server))
    return ConnectionResult(gettext("Enter an address to test."))


def _within_limit(ask: Callable[[], ConnectionResult]) -> ConnectionResult:
    """Ask in a daemon thread, which is abandoned on timeout, and never in more than _MOST_AT_ONCE."""
    if not _places.acquire(timeout=LIMIT_SECONDS):
        return ConnectionResult(gettext("No response within %(n)s seconds.") % {"n": LIMIT_SECONDS})
    result: Future[ConnectionResult] = Future()
    in_language = translation.override(translation.get_language())(ask)
    threading.Thread(target=_ask, args=(in_language, result), name="settings-test", daemon=True).start()
    try:
        return result.result(timeout=LIMIT_SECONDS)
    except TimeoutError:
        return ConnectionResult(gettext("No response within %(n)s seconds.") % {"n": LIMIT_SECONDS})


def _ask(ask: Callable[[], ConnectionResult], result: "Future[ConnectionResult]") -> None:
    try:
        result.set_result(ask())
    except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
        result.set_exception(error)
    finally:
        connections.close_all()
        _places.release()


def _ask_language_model(given: Environment) -> ConnectionResult:
    return _result_of(next(iter(chat_reports(given, seconds=_RESPONSE_SECONDS))), given)


def _measure_language_model(given: Environment, found: list[Report]) -> ConnectionResult:
    """Ask the server, and append its report to `found`."""
    found.append(measure_chat_model(given, seconds=_RESPONSE_SECONDS))
    return _result_of(found[0], given)


def _result_of(report: Report, given: Environment) -> ConnectionResult:
    problem = without_secrets(report.problem, given)
    return ConnectionResult(
        f"{report.where}: {problem}" if problem else "", report.milliseconds or 0, tuple(report.remarks)
    )


def _ask_provider(issuer: str) -> ConnectionResult:
    """Fetch the discovery document, and repeat nothing of what may be another service."""
    try:
        with ProviderSession([issuer], from_console=True) as session:
            response = session.get(f"{issuer}{_DISCOVERY}")
    except UnreadableResponse:
        return ConnectionResult(gettext("There is no OpenID Connect provider at this address."))
    except RequestException as error:
        return ConnectionResult(gettext("The provider can’t be reached: %(error)s") % {"error": error})
    if not response.ok:
        status = response.status_code
        return ConnectionResult(gettext("The provider answers with status %(n)s.") % {"n": status})
    found = response.json()
    if str(found.get("issuer", "")).rstrip("/") != issuer:
        return ConnectionResult(gettext("The provider names another issuer than this address."))
    if not all(isinstance(found.get(name), str) for name in ENDPOINTS):
        return ConnectionResult(gettext("There is no OpenID Connect provider at this address."))
    if names_plain_endpoint(issuer, found):
        return ConnectionResult(localize(CodedMessage("sign_in_plain_endpoint")))
    return ConnectionResult()


def _ask_mail_server(server: MailServer) -> ConnectionResult:
    try:
        found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
        reachable = all(ssrf_guard.is_of_server(ip_address(address[0])) for *_, address in found)
    except OSError:
        reachable = True  # the check says that the name is unknown
    if not reachable:
        return ConnectionResult(gettext("No server may be at this address."))
    verdict = check_mail_server(server)
    return ConnectionResult("" if verdict.ok else localize(verdict.message))
