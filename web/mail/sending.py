"""Plain-text messages, and how they are handed to the mail server.

Never call `send_mail` in a request: a server may take long. `web.mail.outbox` queues messages.
"""

from django.core.mail import EmailMessage

from web.mail.connection import MailConnection
from web.mail.server import MailServer


def build_mail(server: MailServer, *, to: str, subject: str, text: str) -> EmailMessage:
    headers = {"Auto-Submitted": "auto-generated"}  # prevents automatic absence replies
    return EmailMessage(subject, text, server.sender, [to], headers=headers)


def send_mail(message: EmailMessage, server: MailServer) -> None:
    """Hand a message to the server. Raises one of `web.mail.failures.FAILURES`."""
    with MailConnection(server) as connection:
        if not connection.send_messages([message]):
            raise ValueError("the address is empty")
