"""Limits on failed sign-ins that slow down guessing without locking anybody out.

Failures are counted per client address and per user name at that address. Attempts from elsewhere never count
against the user, with one exception: after very many failures for one name, from anywhere, clients from which
the user has never signed in have to wait. A known device has a count of its own instead of all these.
"""

import unicodedata
from collections.abc import Sequence
from typing import Final

from allauth.core.internal import ratelimit
from allauth.core.internal.ratelimit import RateLimitUsage
from django.core.cache import cache
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from cairn.accounts.confusable_names import name_skeleton
from cairn.accounts.models import User
from web.identity.known_devices import find_known_device

FROM_ADDRESS: Final = "20/m/ip"
FOR_NAME_AT_ADDRESS: Final = "10/300s/key"
FROM_DEVICE: Final = "10/300s/key"
FOR_NAME_ANYWHERE: Final = "200/h/key"
FACTOR_AT_ADDRESS: Final = "10/300s/key"
FACTOR_FROM_DEVICE: Final = "10/300s/key"
FACTOR_ANYWHERE: Final = "60/h/key"
"""Codes tried for one user by unknown clients: few, because a code has only six digits."""
ANY_FROM_ADDRESS: Final = "120/m/ip"
"""Attempts of any kind; a whole office may share an address."""
RESETS_FROM_ADDRESS: Final = "10/300s/ip"
"""Requests for a link by people who forgot their password."""
ADDRESS_KNOWN_SECONDS: Final = 90 * 24 * 3600
_APP: Final = "cairn.sign_in"
_UNCOUNTED: Final = frozenset({"Cf", "Mn", "Zs"})
"""Categories of invisible characters, accents and spaces."""


def attempt_begin(request: HttpRequest, username: str) -> RateLimitUsage | None:
    """Count an attempt before the password check, so that concurrent attempts cannot exceed the limits.

    Returns None if it has to wait. Roll it back after a right password.
    """
    name = username.strip().casefold()
    if device := find_known_device(request, name):
        return _consume(request, [("device", FROM_DEVICE, device.id)])
    address, counted = ratelimit.get_ip(request), _fold_spelling(username)
    limits = [
        ("address", FROM_ADDRESS, None),
        ("name_at_address", FOR_NAME_AT_ADDRESS, f"{address} {counted}"),
    ]
    if cache.get(_build_address_key(address, name)) is None:
        limits.append(("name_anywhere", FOR_NAME_ANYWHERE, counted))
    return _consume(request, limits)


def factor_begin(request: HttpRequest, user: User) -> RateLimitUsage | None:
    """Count an attempt at the second step, like `attempt_begin`. Somebody who knows the password cannot use
    up the attempts of the user on known devices and addresses.
    """
    name = user.get_username().casefold()
    if device := find_known_device(request, name):
        return _consume(request, [("factor_device", FACTOR_FROM_DEVICE, f"{device.id} {user.pk}")])
    address = ratelimit.get_ip(request)
    limits = [("factor_at_address", FACTOR_AT_ADDRESS, f"{address} {user.pk}")]
    if cache.get(_build_address_key(address, name)) is None:
        limits.append(("factor_anywhere", FACTOR_ANYWHERE, str(user.pk)))
    return _consume(request, limits)


def may_try(request: HttpRequest, username: str) -> bool:
    """Limit all attempts per address, including successful ones."""
    if find_known_device(request, username):
        return True
    return _consume(request, [("any", ANY_FROM_ADDRESS, None)]) is not None


def may_request_reset(request: HttpRequest) -> bool:
    return _consume(request, [("reset", RESETS_FROM_ADDRESS, None)]) is not None


def remember_address(request: HttpRequest, username: str) -> None:
    key = _build_address_key(ratelimit.get_ip(request), username.strip().casefold())
    cache.set(key, True, ADDRESS_KNOWN_SECONDS)


def _consume(request: HttpRequest, limits: Sequence[tuple[str, str, str | None]]) -> RateLimitUsage | None:
    used = RateLimitUsage(usage=[])
    for action, rate, key in limits:
        usage = ratelimit.consume(request, app=_APP, action=action, config={action: rate}, key=key)
        if usage is None:
            return None
        used.usage += usage.usage
    return used


def _fold_spelling(username: str) -> str:
    """Return the same text for all spellings by which a directory may find one person.

    Directories compare names without regard to width, accents, spaces or invisible characters, and each
    spelling would have a count of its own.
    """
    return "".join(
        letter for letter in name_skeleton(username) if unicodedata.category(letter) not in _UNCOUNTED
    )


def _build_address_key(address: str, name: str) -> str:
    return salted_hmac("cairn.known_address", f"{address} {name}", algorithm="sha256").hexdigest()
