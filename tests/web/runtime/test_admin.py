from pathlib import Path
from typing import Any

import pytest

from cairn.accounts.models import User
from cairn.errors import ConfigurationError
from cairn.settings import Environment
from web.data_dir import first_admin
from web.data_dir.first_admin import FirstAdmin, first_admin_create

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path


def given(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setattr(first_admin, "environment", lambda: Environment(cairn_admin_password=password))


def test_first_admin_password_is_created_and_stored(folder: Path) -> None:
    made = first_admin_create()
    assert made is not None
    assert made.password == (folder / "admin_password").read_text()
    assert (folder / "admin_password").stat().st_mode & 0o777 == 0o600
    user = User.objects.get()
    assert (user.username, user.is_admin, user.check_password(made.password)) == ("admin", True, True)


def test_configured_admin_password_is_not_written_to_a_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch, "a long enough passphrase")
    assert first_admin_create() == FirstAdmin("admin", None)
    assert User.objects.get().check_password("a long enough passphrase")
    assert not (folder / "admin_password").exists()


def test_second_admin_is_not_created(folder: Path) -> None:
    first_admin_create()
    assert first_admin_create() is None
    assert User.objects.count() == 1


def test_weak_admin_password_is_rejected(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, "12345")
    with pytest.raises(ConfigurationError, match="CAIRN_ADMIN_PASSWORD"):
        first_admin_create()
    assert not User.objects.exists()
