"""SMTP connections with a limit on their whole duration.

A timeout of a socket starts again with each byte received, so a server that sends a byte now and then could
hold a worker for hours.
"""

import smtplib
import socket
import ssl
import threading
from contextlib import suppress
from functools import cached_property
from typing import Any, Final

from django.core.mail.backends.smtp import EmailBackend

from web.mail.server import MailServer

SILENT_SECONDS: Final = 8
"""How long to wait for the connection, and for each part of a reply."""
TOTAL_SECONDS: Final = 20
"""How long a connection may last, with all that is sent over it."""


class MailTimeout(smtplib.SMTPServerDisconnected):
    """The server did not respond in time."""


class _Limited(smtplib.SMTP):
    """Ends the connection after `TOTAL_SECONDS`, whatever the server sends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._expired = False
        self._timer = threading.Timer(TOTAL_SECONDS, self._expire)
        self._timer.daemon = True
        self._timer.start()
        try:
            super().__init__(*args, **kwargs)
        except BaseException:
            self._timer.cancel()
            raise

    def getreply(self) -> tuple[int, bytes]:
        try:
            reply = super().getreply() if not self._expired else None
        except smtplib.SMTPServerDisconnected as error:
            if self._expired or isinstance(error.__context__, TimeoutError):
                raise MailTimeout from error
            raise
        if reply is None or self._expired:  # the part received until then looks like a reply
            self.close()
            raise MailTimeout
        return reply

    def close(self) -> None:
        self._timer.cancel()
        super().close()

    def _expire(self) -> None:
        self._expired = True
        if (opened := self.sock) is not None:
            with suppress(
                OSError
            ):  # not the method of a TLS socket: it would pull the rug from under a reader
                socket.socket.shutdown(opened, socket.SHUT_RDWR)


class _LimitedTls(_Limited, smtplib.SMTP_SSL):
    pass


class MailConnection(EmailBackend):
    """Django's SMTP backend, with the server's settings and a limit on the duration."""

    def __init__(self, server: MailServer) -> None:
        self._ca_file = server.ca_file
        super().__init__(
            host=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            use_tls=server.security == "starttls",
            use_ssl=server.security == "tls",
            timeout=SILENT_SECONDS,
        )

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _LimitedTls if self.use_ssl else _Limited

    @cached_property
    def ssl_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._ca_file)
