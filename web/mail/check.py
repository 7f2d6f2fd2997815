"""Check of the mail server, for the settings page, `manage.py doctor` and `manage.py mail`."""

import logging
import smtplib
from dataclasses import dataclass
from email.utils import parseaddr

from django.utils.translation import gettext

from cairn.messages import CodedMessage
from web.mail.connection import MailConnection
from web.mail.failures import FAILURES, describe_failure
from web.mail.sending import build_mail, send_mail
from web.mail.server import MailServer, configured_mail_server

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MailVerdict:
    """Whether the mail server works, and a sentence about it. Show `message` with `localize`."""

    ok: bool
    message: CodedMessage


def check_mail_server(server: MailServer | None = None) -> MailVerdict:
    """Connect, sign in and announce the sender, without sending anything. Takes at most 20 seconds.

    `server`: the one to check, such as one that is about to be saved; the configured one if None.
    """
    server = server or configured_mail_server()
    if server is None:
        return MailVerdict(False, CodedMessage("mail_not_configured"))
    try:
        with MailConnection(server) as connection:
            assert connection.connection is not None  # it is open
            _announce_sender(connection.connection, server)
    except FAILURES as error:
        return _failure(error, server)
    return MailVerdict(True, CodedMessage("mail_server_works", server=server.address))


def send_test_mail(address: str, server: MailServer | None = None) -> MailVerdict:
    """Send a message to the address, and wait until the server accepts or refuses it."""
    server = server or configured_mail_server()
    if server is None:
        return MailVerdict(False, CodedMessage("mail_not_configured"))
    subject = gettext("Test message from Cairn")
    text = gettext("If you can read this, Cairn can send mail.")
    try:
        send_mail(build_mail(server, to=address, subject=subject, text=text), server)
    except FAILURES as error:
        return _failure(error, server)
    return MailVerdict(True, CodedMessage("mail_test_sent", server=server.address, address=address))


def _announce_sender(smtp: smtplib.SMTP, server: MailServer) -> None:
    _name, address = parseaddr(server.sender)
    smtp.ehlo_or_helo_if_needed()
    code, reply = smtp.mail(address)
    smtp.rset()
    if code != 250:
        raise smtplib.SMTPSenderRefused(code, reply, address)


def _failure(error: BaseException, server: MailServer) -> MailVerdict:
    log.info("mail server %s failed a check: %s", server.address, type(error).__name__)
    return MailVerdict(False, describe_failure(error, server))
