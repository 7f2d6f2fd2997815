"""Checks of passkeys that allauth leaves out: the exact origin, and the authenticator's signature counter."""

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
    """Whether the browser made it on a page of this site. A passkey of a domain can be used by every
    subdomain, and by other ports; the rule here is the one for forms: this origin or TRUSTED_ORIGINS."""
    said = CollectedClientData(websafe_decode(credential["response"]["clientDataJSON"])).origin
    return said == _own_origin(context.request) or any(
        _matches(said, trusted) for trusted in settings.CSRF_TRUSTED_ORIGINS
    )


def _own_origin(request: HttpRequest) -> str:
    return f"{request.scheme}://{request.get_host()}"


def _matches(origin: str, trusted: str) -> bool:
    if "*" not in trusted:
        return origin == trusted
    said, pattern = urlsplit(origin), urlsplit(trusted)
    return said.scheme == pattern.scheme and is_same_domain(said.netloc, pattern.netloc.lstrip("*"))


def count_use(passkey: Authenticator, credential: dict[str, Any]) -> bool:
    """Remembers the counter of this use. False if it is not above the last one: then there are two devices
    with the same key. Authenticators that do not count always say 0."""
    counter = AuthenticationResponse.from_dict(credential).response.authenticator_data.counter
    with transaction.atomic():
        locked = Authenticator.objects.select_for_update().get(pk=passkey.pk)
        last = locked.data.get("sign_count", locked.wrap().authenticator_data.counter)
        if (counter or last) and counter <= last:
            return False
        locked.data["sign_count"] = counter
        locked.save(update_fields=["data"])
    return True
