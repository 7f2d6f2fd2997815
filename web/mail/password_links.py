"""Invitations and password resets by mail. Workers send them; requests only have them sent."""

import logging
import smtplib
from typing import Final

from django.core.mail import EmailMessage
from django.http import HttpRequest
from django.utils import translation
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext

from cairn.accounts.models import PasswordMail
from cairn.accounts.password_links import password_link_create
from cairn.accounts.password_mails import NO_ADDRESS, find_due_mails, mail_claim, mail_fail, mail_succeed
from cairn.errors import Conflict
from cairn.settings import environment
from ingestion import broker
from web.mail.failures import FAILURES, describe_failure
from web.mail.sending import build_mail, send_mail
from web.mail.server import MailServer, configured_mail_server

log = logging.getLogger(__name__)
PER_RUN: Final = 20
"""Each message takes up to 20 seconds, if the server is slow."""
_PERMANENT: Final = 500  # SMTP replies from here on: another attempt would fail, too


def site_of(request: HttpRequest) -> str:
    """Return the address of this installation for links: the public one if it is configured, since a request
    can name any of ALLOWED_HOSTS."""
    origins = [origin for origin in environment().trusted_origins if "*" not in origin]
    own = request.build_absolute_uri("/").rstrip("/")
    return own if own in origins or not origins else origins[0].rstrip("/")


def find_public_site() -> str | None:
    """Return the first of TRUSTED_ORIGINS that names one site; None if there is none."""
    origins = (origin for origin in environment().trusted_origins if "*" not in origin)
    return next((origin.rstrip("/") for origin in origins), None)


def can_reset_by_mail() -> bool:
    """Return whether people can have a link sent who forgot their password: there is a mail server, and the
    address of this installation is configured. Requests name a host and port of the sender's choice, so links
    must not be built from them: somebody could have a link sent that leads to another site."""
    return find_public_site() is not None and configured_mail_server() is not None


def wake_mailer() -> None:
    broker.send("web.send_password_mails", broker.WATCHES)


def password_mails_send() -> int:
    """Send the messages that are due, and return how many were sent. Stops at a server that is away."""
    server = configured_mail_server()
    sent = 0
    if server is None:
        return sent
    for mail in find_due_mails()[:PER_RUN]:
        if not mail_claim(mail):
            continue
        try:
            send_mail(_write(mail, server), server)
        except Conflict:  # disabled, or without address, by now
            mail.delete()
        except FAILURES as error:
            reason, is_final = describe_failure(error, server), _is_final(error)
            mail_fail(mail, reason, is_final=is_final)
            log.warning("cannot send mail %d with %s: %s", mail.pk, server.address, type(error).__name__)
            if not is_final:
                break
        else:
            mail_succeed(mail)
            sent += 1
    return sent


def _is_final(error: BaseException) -> bool:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= _PERMANENT for code, _reply in error.recipients.values())
    return isinstance(error, ValueError) and not isinstance(error, OSError)


def _write(mail: PasswordMail, server: MailServer) -> EmailMessage:
    """Create the link and write the message, in the user's language. Raises Conflict for a disabled user, or
    without an address."""
    link, token = password_link_create(mail.user, days=mail.days, actor=mail.requested_by)
    user = link.user  # loaded again: the address may have changed since the mail was found
    if not user.email:
        raise Conflict(NO_ADDRESS)
    with translation.override(mail.language):
        values = {
            "name": user.display_name or user.username,
            "username": user.username,
            "url": f"{mail.site}/set-password#{token}",
            "until": date_format(localtime(link.expires_at), "DATETIME_FORMAT"),
        }
        subject, text = _invitation() if mail.is_invitation else _reset()
    return build_mail(server, to=user.email, subject=subject, text=text.format(**values))


def _invitation() -> tuple[str, str]:
    text = gettext(
        "Hello {name},\n\n"
        "you have an account in Cairn, which answers questions from your organisation’s documents. Your user "
        "name is {username}. Set a password here:\n\n"
        "{url}\n\n"
        "The link works once, until {until} (UTC).\n"
    )
    return gettext("Your account in Cairn"), text


def _reset() -> tuple[str, str]:
    text = gettext(
        "Hello {name},\n\n"
        "a new password was requested for your account {username} in Cairn. Set it here:\n\n"
        "{url}\n\n"
        "The link works once, until {until} (UTC). If you don’t need a new password, ignore this message: "
        "the old one stays valid.\n"
    )
    return gettext("Set a new password for Cairn"), text
