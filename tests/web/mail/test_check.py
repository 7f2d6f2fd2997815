"""The check of the mail server, and `manage.py mail`."""

import json
import time
from pathlib import Path

import pytest
from django.core.management import call_command
from pydantic import SecretStr

from tests.directory import make_certificate
from tests.mail_server import BREAKS, DRIPS, HANGS, MailServer
from tests.web.mail.conftest import Configure, StartMail
from web.mail import connection
from web.mail.check import check_mail_server, send_test_mail
from web.mail.server import MailServer as Configured


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SILENT_SECONDS", 0.5)
    monkeypatch.setattr(connection, "TOTAL_SECONDS", 1)


def test_working_mail_server_is_checked_without_sending(start_mail: StartMail) -> None:
    server = start_mail(account=("cairn", "secret"))
    verdict = check_mail_server()
    assert verdict.ok
    assert str(server.port) in verdict.message
    assert server.messages == []
    assert server.connections == 1


def test_message_arrives(start_mail: StartMail, capsys: pytest.CaptureFixture[str]) -> None:
    server = start_mail()
    call_command("mail", "test", "mia@example.org")
    [message] = server.messages
    assert message["To"] == "mia@example.org"
    assert message["From"] == "Cairn <cairn@example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert "mia@example.org" in capsys.readouterr().out


def test_mail_is_not_sent_without_a_server(configure_mail: Configure) -> None:
    configure_mail(smtp_host="127.0.0.1", mail_from=None)
    verdict = send_test_mail("mia@example.org")
    assert (verdict.ok, verdict.message.code) == (False, "mail_not_configured")


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("behaviour", [HANGS, DRIPS])
def test_hanging_mail_server_times_out(start_mail: StartMail, behaviour: str) -> None:
    start_mail(behaviour=behaviour)
    began = time.monotonic()
    verdict = check_mail_server()
    assert time.monotonic() - began < 5
    assert (verdict.ok, verdict.message.code) == (False, "mail_timeout")


@pytest.mark.usefixtures("hurried")
def test_hanging_tls_handshake_times_out(start_mail: StartMail, configure_mail: Configure) -> None:
    server = start_mail(behaviour=HANGS)
    configure_mail(
        smtp_host="127.0.0.1", smtp_port=server.port, smtp_security="tls", mail_from="cairn@example.org"
    )
    assert check_mail_server().message.code == "mail_timeout"


def test_wrong_passwords_are_reported_without_the_password(
    start_mail: StartMail, configure_mail: Configure
) -> None:
    server = start_mail(account=("cairn", "secret"))
    configure_mail(
        smtp_host="127.0.0.1",
        smtp_port=server.port,
        smtp_security="none",
        smtp_user="cairn",
        smtp_password=SecretStr("a wrong one"),
        mail_from="cairn@example.org",
    )
    verdict = check_mail_server()
    assert verdict.message.code == "mail_login_refused"
    assert "535 wrong password" in verdict.message
    assert "a wrong one" not in verdict.message


def test_refusals_name_the_reason(start_mail: StartMail) -> None:
    start_mail(refused=("eve@example.org",))
    refused = send_test_mail("eve@example.org")
    assert refused.message.code == "mail_refused"
    assert "eve@example.org: 550 no such mailbox" in refused.message
    start_mail(behaviour=BREAKS)
    assert "451 out of disk space" in send_test_mail("mia@example.org").message


def test_closed_port_and_invalid_addresses_are_reported(start_mail: StartMail) -> None:
    with MailServer() as gone:
        port = gone.port
    closed = Configured("127.0.0.1", port, "none", "", "", None, "cairn@example.org")
    assert check_mail_server(closed).message.code == "mail_unreachable"
    server = start_mail()
    for address in ("a@example.org\r\nBcc: eve@example.org", ""):
        assert send_test_mail(address).message.code == "mail_invalid", address
    assert server.messages == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_certificates_are_checked(
    tmp_path: Path, start_mail: StartMail, configure_mail: Configure, security: str
) -> None:
    certificate, key_file = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make_certificate(certificate, key_file)
    server = start_mail(certificate=(certificate, key_file), implicit_tls=security == "tls")
    known = {
        "smtp_host": "localhost",
        "smtp_port": server.port,
        "smtp_security": security,
        "mail_from": "cairn@example.org",
    }
    configure_mail(**known)
    assert check_mail_server().message.code == "mail_tls_failed"
    configure_mail(**known, smtp_ca_file=certificate)
    assert check_mail_server().ok
    assert send_test_mail("mia@example.org").ok
    assert len(server.messages) == 1


def test_password_is_not_sent_without_starttls(start_mail: StartMail, configure_mail: Configure) -> None:
    server = start_mail(account=("cairn", "secret"))
    configure_mail(
        smtp_host="127.0.0.1",
        smtp_port=server.port,
        smtp_user="cairn",
        smtp_password=SecretStr("secret"),
        mail_from="cairn@example.org",
    )
    assert check_mail_server().message.code == "mail_not_supported"


def test_mail_command_reports_failures(configure_mail: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    configure_mail(smtp_host=None)
    with pytest.raises(SystemExit) as left:
        call_command("mail", "check", "--json")
    assert left.value.code == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False
