"""Checks of passkeys that allauth lacks: the exact origin, and the authenticator's signature counter."""

from typing import Any
from urllib.parse import urlsplit

from allauth.core import context
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils.http import is_same_domain
from fido2.utils import websafe_decode
from fido2.webauthn import AuthenticationResponse, CollectedClientData


def has_own_origin(credential: dict[str, Any]) -> bool:
    """Check that the browser used the passkey on a page of this site.

    A passkey of a domain works on all its subdomains and ports; as for forms, only this origin and
    TRUSTED_ORIGINS are accepted.
    """
    origin = CollectedClientData(websafe_decode(credential["response"]["clientDataJSON"])).origin
    return origin == _own_origin(context.request) or any(
        _matches(origin, trusted) for trusted in settings.CSRF_TRUSTED_ORIGINS
    )


def _own_origin(request: HttpRequest) -> str:
    return f"{request.scheme}://{request.get_host()}"


def _matches(origin: str, trusted: str) -> bool:
    if "*" not in trusted:
        return origin == trusted
    actual, pattern = urlsplit(origin), urlsplit(trusted)
    return actual.scheme == pattern.scheme and is_same_domain(actual.netloc, pattern.netloc.lstrip("*"))


def count_use(passkey: Authenticator, credential: dict[str, Any]) -> bool:
    """Store the signature counter. Returns False unless it increased, which indicates a cloned authenticator.

    Authenticators without a counter always send 0.
    """
    counter = AuthenticationResponse.from_dict(credential).response.authenticator_data.counter
    with transaction.atomic():
        locked = Authenticator.objects.select_for_update().get(pk=passkey.pk)
        last = locked.data.get("sign_count", locked.wrap().authenticator_data.counter)
        if (counter or last) and counter <= last:
            return False
        locked.data["sign_count"] = counter
        locked.save(update_fields=["data"])
    return True
