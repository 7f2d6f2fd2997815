from pathlib import Path

import pytest

from cairn.settings import Environment
from web.cli.settings_list import HIDDEN, Setting, settings_list


def listed() -> dict[str, Setting]:
    return {setting.name: setting for setting in settings_list(Environment())}


def test_every_setting_is_listed() -> None:
    assert len(listed()) == len(Environment.model_fields)


def test_origin_of_each_value_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("of the model")
    monkeypatch.setenv("LLM_API_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("LLM_MODEL", "mistral")
    monkeypatch.setenv("LLM_CONTEXT_TOKENS", "")
    known = listed()
    assert (known["LLM_MODEL"].value, known["LLM_MODEL"].origin) == ("mistral", "environment")
    assert known["LLM_API_KEY"].origin == "file"
    assert (known["LLM_CONTEXT_TOKENS"].value, known["LLM_CONTEXT_TOKENS"].origin) == ("8192", "default")


def test_dotenv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAX_PAGES=7\n")
    monkeypatch.delenv("MAX_PAGES", raising=False)
    monkeypatch.setitem(Environment.model_config, "env_file", tmp_path / ".env")
    assert (listed()["MAX_PAGES"].value, listed()["MAX_PAGES"].origin) == ("7", ".env")


def test_secrets_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "s3cret-1")
    monkeypatch.setenv("DATABASE_URL", "postgres://cairn:s3cret-2@db/cairn")
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://:s3cret-3@queue:6379/0")
    known = listed()
    assert not [setting for setting in known.values() if "s3cret" in setting.value]
    assert known["SECRET_KEY"].value == HIDDEN
    assert known["DATABASE_URL"].value == f"postgres://{HIDDEN}@db/cairn"


def test_debug_setting_is_named_cairn_debug() -> None:
    assert "CAIRN_DEBUG" in listed()
    assert "DEBUG" not in listed()
