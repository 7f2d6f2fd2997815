"""Causes of failed sign-ins with identity providers, in words for admins, without secrets or persons."""

from collections.abc import Mapping
from typing import Any, Final

import jwt
from allauth.socialaccount.providers.base.constants import AuthError
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from requests import HTTPError, RequestException
from requests.exceptions import SSLError

from cairn.messages import CodedMessage

NOT_BEGUN: Final = CodedMessage("sign_in_not_begun")
INVALID: Final = CodedMessage("sign_in_invalid")
_DECLINED: Final = CodedMessage("sign_in_declined")
_SAML_CAUSES: Final = (
    ("audience", "sign_in_audience"),
    ("issuer", "sign_in_issuer"),
    ("timing", "sign_in_time"),
    ("expired", "sign_in_time"),
    ("sign", "sign_in_signature"),
)
"""Words in the messages of the SAML library, and their causes. The first one counts."""
_TOKEN_CAUSES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (jwt.InvalidAudienceError, "sign_in_audience"),
    (jwt.InvalidIssuerError, "sign_in_issuer"),
    (jwt.ExpiredSignatureError, "sign_in_time"),
    (jwt.ImmatureSignatureError, "sign_in_time"),
    (jwt.InvalidSignatureError, "sign_in_signature"),
)


class ResponseRefused(OAuth2Error):
    """Raised for a response of a provider that Cairn doesn't accept. `cause`: the code of the reason."""

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(message)
        self.cause = cause


def find_cause(error: object, context: Mapping[str, Any]) -> CodedMessage:
    """Return the cause of an error that allauth reports with this context: an exception or a code."""
    if isinstance(error, Exception):
        return explain_exception(error)
    if "saml_last_error_reason" in context:
        return explain_saml(str(context["saml_last_error_reason"]))
    was_begun = "state" in context or error == AuthError.CANCELLED
    return _DECLINED if was_begun else NOT_BEGUN


def explain_exception(error: Exception) -> CodedMessage:
    match error:
        case ResponseRefused():
            return CodedMessage(error.cause)
        case HTTPError() if error.response is not None:
            return CodedMessage("sign_in_http_status", status=error.response.status_code)
        case SSLError():
            return CodedMessage("sign_in_certificate")
        case RequestException():
            return CodedMessage("sign_in_unreachable")
        case OAuth2Error() if "access token" in str(error):
            return CodedMessage("sign_in_secret")
        case OAuth2Error() if "'kid'" in str(error):
            return CodedMessage("sign_in_signature")
    causes = (code for kind, code in _TOKEN_CAUSES if isinstance(error.__cause__, kind))
    return CodedMessage(next(causes, INVALID.code))


def explain_saml(reason: str) -> CodedMessage:
    return CodedMessage(next((code for word, code in _SAML_CAUSES if word in reason.lower()), INVALID.code))
