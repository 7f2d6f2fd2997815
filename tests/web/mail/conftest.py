"""A mail server, and Cairn configured to use it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from pydantic import SecretStr

from cairn.settings import environment
from tests.mail_server import MailServer
from web.mail import password_links
from web.mail import server as configured

Configure = Callable[..., None]
StartMail = Callable[..., MailServer]


@pytest.fixture
def configure_mail(monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Change settings of the mail server, as the environment would."""

    def configure(**settings: Any) -> None:
        own = {"trusted_origins": ("http://testserver",)}
        changed = environment().model_copy(update=own | settings)
        monkeypatch.setattr(configured, "effective_environment", lambda: changed)
        monkeypatch.setattr(password_links, "environment", lambda: changed)

    return configure


@pytest.fixture
def start_mail(configure_mail: Configure) -> Iterator[StartMail]:
    """Start a mail server that Cairn uses from then on."""
    with ExitStack() as running:

        def start(*, origins: tuple[str, ...] = ("http://testserver",), **options: Any) -> MailServer:
            server = running.enter_context(MailServer(**options))
            name, password = options.get("account") or ("", "")
            configure_mail(
                trusted_origins=origins,
                smtp_host="127.0.0.1",
                smtp_port=server.port,
                smtp_security="none",
                smtp_user=name,
                smtp_password=SecretStr(password) if password else None,
                mail_from="Cairn <cairn@example.org>",
            )
            return server

        yield start
