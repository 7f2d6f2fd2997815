"""Known devices, from which somebody has signed in before, remembered by a signed cookie.

Following OWASP's "device cookies": failed attempts from a known device are counted for that device alone, so
that nobody else can use up the attempts of its users.
"""

import secrets
from dataclasses import dataclass
from typing import Final, Self

from django.conf import settings
from django.core import signing
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.crypto import salted_hmac

COOKIE_AGE: Final = 365 * 24 * 3600
PEOPLE_AT_MOST: Final = 8
_SALT: Final = "cairn.known_device"


@dataclass(frozen=True, slots=True)
class Device:
    """A device. `people` are digests of user names, the latest at the end."""

    id: str
    people: tuple[str, ...] = ()

    @classmethod
    def of(cls, request: HttpRequest) -> Self | None:
        """Return the request's device; None without a valid cookie."""
        cookie = request.COOKIES.get(settings.DEVICE_COOKIE_NAME, "")
        try:
            content = signing.loads(cookie, salt=_SALT, max_age=COOKIE_AGE)
        except signing.BadSignature:
            return None
        return cls(content["id"], tuple(content["people"]))

    def knows(self, username: str) -> bool:
        return _digest(username) in self.people

    def with_person(self, username: str) -> "Device":
        digest = _digest(username)
        others = [each for each in self.people if each != digest]
        return Device(self.id, (*others, digest)[-PEOPLE_AT_MOST:])


def remember_device(request: HttpRequest, response: HttpResponseBase, username: str) -> None:
    device = Device.of(request) or Device(secrets.token_urlsafe(16))
    device = device.with_person(username)
    response.set_cookie(
        settings.DEVICE_COOKIE_NAME,
        signing.dumps({"id": device.id, "people": device.people}, salt=_SALT),
        max_age=COOKIE_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def find_known_device(request: HttpRequest, username: str) -> Device | None:
    """Return the request's device if the user has signed in from it before."""
    device = Device.of(request)
    return device if device is not None and device.knows(username) else None


def _digest(username: str) -> str:
    """Digest a user name, so that the cookie does not reveal the device's users."""
    return salted_hmac(_SALT, username.strip().casefold(), algorithm="sha256").hexdigest()[:32]
