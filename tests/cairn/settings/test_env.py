from pathlib import Path

import pytest
from pydantic import ValidationError

from cairn.settings.env import Environment
from cairn.settings.generated_secrets import load_or_create_secret


def test_secret_can_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("from-a-file\n")
    monkeypatch.setenv("LLM_API_KEY_FILE", str(tmp_path / "key"))
    key = Environment().llm_api_key
    assert key is not None
    assert key.get_secret_value() == "from-a-file"
    assert "from-a-file" not in repr(Environment())


def test_empty_variable_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_URL", "")
    assert Environment().qdrant_url is None


def test_lists_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", "a.example.org, b.example.org")
    assert Environment().allowed_hosts == ("a.example.org", "b.example.org")


def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPLOAD_MAX_MB", "many")
    with pytest.raises(ValidationError):
        Environment()


def test_created_secret_is_readable_only_by_its_owner_and_reused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    value, made = load_or_create_secret(path)
    assert made
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_create_secret(path) == (value, False)
    assert [item.name for item in tmp_path.iterdir()] == ["secret"]


def test_renamed_setting_is_read_by_its_old_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_PARALLEL", "7")
    (tmp_path / "seconds").write_text("9\n")
    monkeypatch.setenv("PARSE_SECONDS_FILE", str(tmp_path / "seconds"))
    assert Environment().llm_max_concurrency == 7
    assert Environment().parse_timeout_seconds == 9


def test_current_name_of_a_setting_takes_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_PARALLEL", "7")
    monkeypatch.setenv("LLM_MAX_CONCURRENCY", "8")
    assert Environment().llm_max_concurrency == 8


def test_empty_current_name_does_not_hide_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_PARALLEL", "7")
    monkeypatch.setenv("LLM_MAX_CONCURRENCY", "")
    assert Environment().llm_max_concurrency == 7


def test_qdrant_server_index_requires_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTOR_INDEX", "qdrant-server")
    with pytest.raises(ValidationError, match="QDRANT_URL is not set"):
        Environment()
