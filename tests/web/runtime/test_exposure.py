"""Settings that Cairn requires before it serves other machines."""

import base64
import hashlib
import socket
from pathlib import Path

import pytest

from cairn.errors import ConfigurationError
from cairn.settings import Environment
from tests.servers import Completed, run_manage
from web.processes.bind_safety import is_outside, require_admin_password, require_safe_settings

GOOD = hashlib.sha256(b"good").hexdigest()  # each process of a run has to name its tests alike
PASSWORD = "a long enough passphrase"


def up(folder: Path, host: str, **settings: str) -> Completed:
    return run_manage(folder, "up", "--host", host, "--port", "0", **settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"CAIRN_DEBUG": "true"}, "CAIRN_DEBUG is on"),
        ({"SECRET_KEY": "changeme"}, "SECRET_KEY can be guessed"),
        ({}, "Set CAIRN_ADMIN_PASSWORD"),
    ],
)
def test_unsafe_settings_prevent_serving_other_machines(
    tmp_path: Path, settings: dict[str, str], problem: str
) -> None:
    ended = up(tmp_path, "0.0.0.0", **settings)
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith("error: Cairn does not serve other machines: ")
    assert problem in line
    assert not (tmp_path / "admin_password").exists()


@pytest.mark.parametrize(
    "secret",
    [
        "changeme",
        "a" * 64,
        "abcabc" * 12,
        "django-insecure-" + GOOD,
        "change-me-" + GOOD,
        "Secret-" + GOOD,
        GOOD[:30],
    ],
)
def test_guessable_secret_is_rejected(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="SECRET_KEY") as refused:
        require_safe_settings(Environment(secret_key=secret))
    assert secret not in refused.value.message


@pytest.mark.parametrize("secret", [None, GOOD, base64.urlsafe_b64encode(GOOD[:32].encode()).decode()])
def test_strong_or_generated_secret_is_accepted(secret: str | None) -> None:
    require_safe_settings(Environment(secret_key=secret))


@pytest.mark.django_db
def test_first_admin_password_is_required_for_other_machines() -> None:
    with pytest.raises(ConfigurationError, match="CAIRN_ADMIN_PASSWORD"):
        require_admin_password(Environment())
    require_admin_password(Environment(cairn_admin_password=PASSWORD))


@pytest.mark.parametrize(("host", "outside"), [("127.0.0.1", False), ("127.8.8.8", False), ("0.0.0.0", True)])
def test_listener_outside_loopback_is_detected(host: str, outside: bool) -> None:
    with socket.create_server((host, 0)) as listener:
        assert is_outside(listener) is outside
