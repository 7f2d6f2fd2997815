"""Language of a request: the user's choice, the cookie, the browser, or the default."""

from collections.abc import Iterator

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.deprecation import MiddlewareMixin
from django.utils.translation.trans_real import parse_accept_lang_header

from cairn.accounts.models import User
from cairn.settings.stored.store import effective_environment

ENGLISH = "en"
PROGRAMS = ("/api/", "/v1/", "/scim/", "/metrics", "/healthz", "/readyz")
"""What answers programs does so in English, and stores nothing in the language of who happened to ask."""


SCRIPTS = "/api/"
"""What scripts of pages call, too."""
_LANGUAGE_ATTRIBUTE = "_cairn_script_language"


class LanguageMiddleware(MiddlewareMixin):
    def process_request(self, request: HttpRequest) -> None:
        if request.path_info.startswith(PROGRAMS):
            translation.activate(ENGLISH)
            if request.path_info.startswith(SCRIPTS) and settings.SESSION_COOKIE_NAME in request.COOKIES:
                setattr(request, _LANGUAGE_ATTRIBUTE, language_of(request))
        else:
            # First without the database, for the page shown while it is unavailable.
            translation.activate(_first_offered(_requested_languages(request)))
            translation.activate(language_of(request))

    def process_response(self, _request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if response.headers.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Content-Language", translation.get_language() or ENGLISH)
        return response


def language_of(request: HttpRequest) -> str:
    """Return the language. Queries the user if there is a session."""
    return _first_offered(_wishes(request))


def language_for(user: User) -> str:
    """Return the language for mail to somebody: their own, or the default one."""
    return _first_offered(iter([user.language]))


def _first_offered(codes: Iterator[str]) -> str:
    return next(filter(is_offered, codes), effective_environment().default_language)


def is_script(request: HttpRequest) -> bool:
    """Whether the script of a page sends an API request, rather than a program with a key."""
    return hasattr(request, _LANGUAGE_ATTRIBUTE) and "Authorization" not in request.headers


def script_language(request: HttpRequest) -> str:
    """Return the language of the page whose script sends an API request; English for keys."""
    return str(getattr(request, _LANGUAGE_ATTRIBUTE)) if is_script(request) else ENGLISH


def is_offered(code: str) -> bool:
    return code in dict(settings.LANGUAGES)


def _wishes(request: HttpRequest) -> Iterator[str]:
    if isinstance(request.user, User):
        yield request.user.language
    yield from _requested_languages(request)


def _requested_languages(request: HttpRequest) -> Iterator[str]:
    """Yield the languages of the cookie and the browser."""
    yield request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
    for code, _ in parse_accept_lang_header(request.headers.get("Accept-Language", "")):
        yield code.partition("-")[0]


def language_remember(response: HttpResponse, code: str) -> None:
    """Set the language cookie for pages before sign-in; "" deletes it."""
    name = settings.LANGUAGE_COOKIE_NAME
    if not code:
        response.delete_cookie(name, samesite="Lax")
        return
    response.set_cookie(
        name,
        code,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
