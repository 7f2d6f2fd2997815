"""Errors that all layers raise on purpose, by what the caller can do about them.

CairnError
├── PermanentError             trying again changes nothing
│   ├── InvalidInput           422, or 400/409/412/413/415 by subclass
│   │   ├── MalformedRequest   400
│   │   ├── Conflict           409
│   │   │   └── Taken          another one has this name or id
│   │   ├── PreconditionFailed 412
│   │   ├── PayloadTooLarge    413
│   │   └── UnsupportedMedia   415
│   ├── NotSignedIn            401
│   ├── Forbidden              403
│   ├── NotFound               404
│   ├── DocumentRejected       a file that cannot become searchable; carries a stable code
│   └── ConfigurationError     the environment asks for something that cannot work
└── TransientError             worth another attempt
    ├── Unavailable            503, a dependency is down
    ├── RateLimited            429, too much at once
    └── QuotaExceeded          429, all that is allowed today
"""

from enum import StrEnum
from typing import Any, ClassVar

from cairn.messages import gettext_noop as _


class CairnError(Exception):
    """`status` and `code` are sent by the REST API; the message is written for users."""

    status: ClassVar[int] = 500
    code: str = "internal_error"
    title: ClassVar[str] = _("Something went wrong")

    def __init__(self, message: str = "", *, code: str | None = None) -> None:
        super().__init__(message or self.title)
        if code is not None:
            self.code = code

    @property
    def message(self) -> str:
        message: str = self.args[0]
        return message

    def problem(self) -> dict[str, Any]:
        """Build the problem document of RFC 9457."""
        return {
            "type": f"urn:cairn:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.message,
            "code": self.code,
        }


class PermanentError(CairnError):
    pass


class TransientError(CairnError):
    """`retry_after`: seconds after which another attempt makes sense."""

    status = 503
    code = "unavailable"
    title = _("Try again later")

    def __init__(self, message: str = "", *, code: str | None = None, retry_after: int = 5) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class InvalidInput(PermanentError):
    status = 422
    code = "invalid"
    title = _("The request has invalid fields")


class MalformedRequest(InvalidInput):
    status = 400
    code = "malformed"
    title = _("Malformed request")


class Conflict(InvalidInput):
    status = 409
    code = "conflict"
    title = _("Conflicts with the current state")


class Taken(Conflict):
    pass


class PreconditionFailed(InvalidInput):
    status = 412
    code = "precondition_failed"
    title = _("The resource has changed since you last read it")


class PayloadTooLarge(InvalidInput):
    status = 413
    code = "too_large"
    title = _("The request is too large")


class UnsupportedMedia(InvalidInput):
    status = 415
    code = "unsupported_media_type"
    title = _("Unsupported media type")


class NotSignedIn(PermanentError):
    status = 401
    code = "not_signed_in"
    title = _("Sign in or send an API key")


class Forbidden(PermanentError):
    status = 403
    code = "forbidden"
    title = _("You don’t have permission to do this")


class NotFound(PermanentError):
    status = 404
    code = "not_found"
    title = _("Not found, or you don’t have access")


class ConfigurationError(PermanentError):
    code = "misconfigured"
    title = "Cairn isn't configured correctly"


class Unavailable(TransientError):
    title = _("Part of Cairn is temporarily unavailable")


class RateLimited(TransientError):
    status = 429
    code = "rate_limited"
    title = _("Too many requests")


class QuotaExceeded(TransientError):
    status = 429
    code = "quota_exceeded"
    title = _("Daily quota used up")


_BY_CODE = {
    kind.code: kind for kind in (NotSignedIn, NotFound, Conflict, InvalidInput, TransientError, Unavailable)
}


def error_coded(code: str, message: str) -> CairnError:
    """Return the error for a code stored in an event or row."""
    return _BY_CODE.get(code, CairnError)(message, code=code)


class Rejection(StrEnum):
    """Stable codes for why a document failed, part of the REST contract."""

    EMPTY_FILE = "empty_file"
    UNSUPPORTED_TYPE = "unsupported_type"
    TYPE_MISMATCH = "type_mismatch"
    DAMAGED_FILE = "damaged_file"
    PASSWORD_PROTECTED = "password_protected"  # noqa: S105 - a reason, not a secret
    NO_TEXT = "no_text"
    TOO_LARGE = "too_large"
    TOO_MANY_PAGES = "too_many_pages"
    ARCHIVE_UNSAFE = "archive_unsafe"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    PARSER_CRASHED = "parser_crashed"
    EMBEDDING_FAILED = "embedding_failed"
    INDEX_UNAVAILABLE = "index_unavailable"
    CANCELLED = "cancelled"


class DocumentRejected(PermanentError):
    """`reason` is the stable code; the message says what the uploader can do about it."""

    status = 422

    def __init__(self, reason: Rejection, message: str) -> None:
        super().__init__(message, code=reason.value)
        self.reason = reason

    def __reduce__(self) -> tuple[type["DocumentRejected"], tuple[Rejection, str]]:
        return type(self), (self.reason, self.message)
