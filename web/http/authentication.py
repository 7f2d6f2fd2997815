"""Authentication of requests by API key or browser session."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_noop
from ninja.security import APIKeyCookie, HttpBearer
from ninja.utils import check_csrf

from cairn.access.principals import (
    principal_for_key,
    principal_for_user,
    principal_viewed_as,
    require_admin,
    require_key_scope,
)
from cairn.access.scope import Principal
from cairn.accounts.models import ApiKey, User
from cairn.accounts.services import api_key_find
from cairn.errors import CairnError, Forbidden, NotSignedIn
from cairn.messages import CodedMessage
from web.identity.second_factor import second_factor_missing

_PRINCIPAL_ATTRIBUTE = "_cairn_principal"
VIEWED = "cairn_viewed_user"
"""In the session of an admin who views Cairn as somebody: whom."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def principal_of(request: HttpRequest) -> Principal:
    """Return the principal admitted by the API, else the browser session's user. Raises NotSignedIn.

    Keys are only accepted by the API, which checks their scopes; pages use sessions.
    """
    cached = getattr(request, _PRINCIPAL_ATTRIBUTE, None)
    return (
        cached if isinstance(cached, Principal) else _cache_principal(request, _principal_of_session(request))
    )


def principal_again(principal: Principal) -> Principal:
    """Reload the principal for work that outlives a request. Raises NotSignedIn if access was revoked."""
    if principal.key is None:
        user, viewer = _user(principal.user), principal.viewer
        return principal_viewed_as(user, viewer=_user(viewer)) if viewer else principal_for_user(user)
    key = ApiKey.objects.usable(timezone.now()).select_related("user").filter(pk=principal.key).first()
    if key is None:
        raise NotSignedIn
    return principal_for_key(key)


def _user(value: UUID) -> User:
    user = User.objects.filter(pk=value).first()
    if user is None:
        raise NotSignedIn
    return user


def _cache_principal(request: HttpRequest, principal: Principal) -> Principal:
    setattr(request, _PRINCIPAL_ATTRIBUTE, principal)
    return principal


def _principal_of_session(request: HttpRequest) -> Principal:
    if not isinstance(request.user, User):
        raise NotSignedIn
    if second_factor_missing(request, request.user):
        raise SecondFactorMissing
    viewed = request.session.get(VIEWED) if request.user.is_admin else None
    user = User.objects.active().filter(pk=viewed).first() if viewed else None
    return principal_viewed_as(user, viewer=request.user) if user else principal_for_user(request.user)


def refuse_changes_while_viewing(principal: Principal, request: HttpRequest) -> None:
    if principal.viewer is not None and request.method not in SAFE:
        raise Forbidden(CodedMessage("viewing_as", username=principal.username), code="read_only")


class SecondFactorMissing(Forbidden):
    code = "second_factor_required"

    def __init__(self) -> None:
        super().__init__(gettext_noop("Set up a second factor first; it’s required here."))


class InvalidKey(NotSignedIn):
    """Does not tell whether the key ever existed, has expired, was revoked, or belongs to a disabled user."""

    def __init__(self) -> None:
        super().__init__(
            gettext_noop(
                "This API key isn’t valid. It may be mistyped, expired or revoked. You can create a new one "
                "under Account."
            )
        )


class BearerKey(HttpBearer):
    """Admits keys with one of the scopes. If a key is sent, the session is ignored, even if the key is
    invalid.
    """

    openapi_description = "An API key, sent as `Authorization: Bearer <key>`."

    def __init__(self, *scopes: str, admin: bool = False) -> None:
        super().__init__()
        self.scopes = ("admin",) if admin else scopes
        self.admin = admin

    def __call__(self, request: HttpRequest) -> Principal | None:
        header = request.headers.get("Authorization")
        if header is None:
            return None
        scheme, _, key = header.strip().partition(" ")
        if scheme.lower() != self.openapi_scheme or not key.strip():
            raise NotSignedIn(gettext_noop("Send the API key in the header “Authorization: Bearer <key>”."))
        return self.authenticate(request, key.strip())

    def authenticate(self, request: HttpRequest, token: str) -> Principal:
        key = api_key_find(token)
        if key is None:
            raise InvalidKey
        principal = _cache_principal(request, principal_for_key(key))
        _require(principal, self.scopes, admin=self.admin)
        return principal


class BrowserSession(APIKeyCookie):
    """Admits signed-in people, with a CSRF token for changes."""

    param_name = settings.SESSION_COOKIE_NAME
    openapi_description = "The browser's session; requests that change something need `X-CSRFToken`."

    def __init__(self, *, admin: bool = False, reads: bool = False) -> None:
        super().__init__(csrf=True)
        self.admin = admin
        self.reads = reads

    def __call__(self, request: HttpRequest) -> Principal | None:
        return self.authenticate(request, None) if isinstance(request.user, User) else None

    def authenticate(self, request: HttpRequest, key: str | None) -> Principal:  # noqa: ARG002
        if check_csrf(request):
            raise Forbidden(gettext_noop("The CSRF token is missing or invalid."), code="csrf_failed")
        principal = principal_of(request)
        if not self.reads:
            refuse_changes_while_viewing(principal, request)
        _require(principal, (), admin=self.admin)
        return principal


def visible_error(request: HttpRequest, error: CairnError, *, sessions: bool) -> CairnError:
    """Return the error for authenticated clients; others get NotSignedIn."""
    try:
        if BearerKey()(request) is None:
            if not sessions:
                raise NotSignedIn
            principal_of(request)
    except CairnError as refused:
        return refused
    return error


def _require(principal: Principal, scopes: Sequence[str], *, admin: bool) -> None:
    if admin:
        require_admin(principal)
    elif scopes:
        require_key_scope(principal, *scopes)


def needs(*scopes: str, admin: bool = False, reads: bool = False) -> list[Callable[[HttpRequest], Any]]:
    """Return callables for a route's `auth`: a key with one of the scopes (none: any key), or a session.

    `reads`: a POST that changes nothing, which admins may call while viewing as somebody.
    """
    return [BearerKey(*scopes, admin=admin), BrowserSession(admin=admin, reads=reads)]
