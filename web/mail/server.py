"""The outgoing mail server, as configured."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cairn.settings import Environment
from cairn.settings.stored.store import effective_environment

DEFAULT_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}


@dataclass(frozen=True, slots=True)
class MailServer:
    """An SMTP server and what is needed to send with it. `security`: starttls, tls or none."""

    host: str
    port: int
    security: str
    user: str
    password: str
    ca_file: Path | None
    sender: str

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def of(cls, settings: Environment) -> "MailServer | None":
        """Return the server in the settings; None if the server or the sender is missing."""
        if not settings.smtp_host or not settings.mail_from:
            return None
        return cls(
            host=settings.smtp_host,
            port=settings.smtp_port or DEFAULT_PORTS[settings.smtp_security],
            security=settings.smtp_security,
            user=settings.smtp_user,
            password=settings.smtp_password.get_secret_value() if settings.smtp_password else "",
            ca_file=settings.smtp_ca_file,
            sender=settings.mail_from,
        )


def configured_mail_server() -> MailServer | None:
    """Return the mail server; None if none is configured, so that no mail can be sent."""
    return MailServer.of(effective_environment())
