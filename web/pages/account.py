"""One's own password and API keys."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from cairn.access.lookup import as_id
from cairn.access.scope import Principal
from cairn.accounts.models import ApiKey, KeyScope, User
from cairn.accounts.services import api_key_create, api_key_revoke
from cairn.errors import InvalidInput
from web.pages.door import page, show

SCOPES = tuple((scope.value, scope.label) for scope in KeyScope)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@page
def account(request: HttpRequest, principal: Principal) -> HttpResponse:
    if request.method != "POST":
        return _account(request, principal)
    form = PasswordChangeForm(_user(request), request.POST)
    if not form.is_valid():
        return _account(request, principal, password_form=form, status=422)
    update_session_auth_hash(request, form.save())
    messages.success(request, "Your password is changed.")
    return redirect("pages:account")


@require_POST
@page
def key_create(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Answers with the page itself: the key must not lie in a session or an address."""
    label = request.POST.get("label", "").replace("\0", "").strip()[:100]
    if not label:
        return _account(request, principal, key_error="Give the key a name.", status=422)
    try:
        _, key = api_key_create(user=_user(request), label=label, scopes=request.POST.getlist("scopes"))
    except InvalidInput as error:
        return _account(request, principal, key_error=error.message, status=422)
    return _account(request, principal, fresh_key=key)


@require_POST
@page
def key_revoke(request: HttpRequest, _principal: Principal, key_id: str) -> HttpResponse:
    api_key_revoke(user=_user(request), key_id=as_id(key_id))
    messages.success(request, "The key is revoked.")
    return redirect("pages:account")


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # the page decorator let them in
    return request.user


def _account(
    request: HttpRequest, principal: Principal, *, status: int = 200, **context: Any
) -> HttpResponse:
    user = _user(request)
    shown = {
        "keys": [_key(key) for key in ApiKey.objects.usable(timezone.now()).filter(user=user)],
        "scopes": SCOPES,
        "password_form": PasswordChangeForm(user),
        **context,
    }
    return show(request, principal, "pages/account.html", shown, status=status)


def _key(key: ApiKey) -> dict[str, Any]:
    labels = dict(SCOPES)
    return {
        "id": key.id,
        "label": key.label,
        "prefix": key.prefix,
        "scope_labels": ", ".join(labels[scope].lower() for scope in key.scopes if scope in labels),
        "last_used_at": key.last_used_at,
    }
