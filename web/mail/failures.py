"""Failures of the mail server, in words for admins."""

import smtplib
import ssl
from typing import Final

from cairn.messages import CodedMessage
from web.mail.connection import TOTAL_SECONDS, MailTimeout
from web.mail.server import MailServer

FAILURES: Final = (OSError, ValueError)
"""What connecting and sending raise: SMTP and TLS errors are OSErrors; text that can't be encoded, a password
or a header with a line break are ValueErrors."""
_LONGEST_REASON: Final = 200


def describe_failure(error: BaseException, server: MailServer) -> CodedMessage:
    """Return why connecting or sending failed."""
    where = {"server": server.address}
    match error:
        case smtplib.SMTPRecipientsRefused(recipients=refused):
            [(address, (code, reply)), *_] = refused.items()
            return CodedMessage("mail_refused", **where, address=address, reason=_reason(code, reply))
        case smtplib.SMTPSenderRefused(smtp_code=code, smtp_error=reply, sender=sender):
            return CodedMessage("mail_refused", **where, address=sender, reason=_reason(code, reply))
        case smtplib.SMTPAuthenticationError(smtp_code=code, smtp_error=reply):
            return CodedMessage("mail_login_refused", **where, reason=_reason(code, reply))
        case smtplib.SMTPResponseException(smtp_code=code, smtp_error=reply):
            return CodedMessage("mail_refused_message", **where, reason=_reason(code, reply))
        case smtplib.SMTPNotSupportedError():
            return CodedMessage("mail_not_supported", **where, reason=_clean(str(error)))
        case TimeoutError() | MailTimeout():
            return CodedMessage("mail_timeout", **where, seconds=TOTAL_SECONDS)
        case ssl.SSLError():
            detail = getattr(error, "verify_message", "") or str(error)
            return CodedMessage("mail_tls_failed", **where, reason=_clean(detail))
        case ValueError() if not isinstance(error, OSError):  # a failed check of a certificate is both
            return CodedMessage("mail_invalid", reason=_clean(str(error)))
    return CodedMessage("mail_unreachable", **where, reason=_clean(str(error) or type(error).__name__))


def _reason(code: int, reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return _clean(f"{code} {text}")


def _clean(text: str) -> str:
    """Return the text in one line: it comes from another machine."""
    words = "".join(each if each.isprintable() else " " for each in text).split()
    return " ".join(words)[:_LONGEST_REASON]
