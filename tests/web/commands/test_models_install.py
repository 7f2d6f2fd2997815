"""`manage.py models install`, `manage.py up --model`, and the notice about the packaged model."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from cairn.inference.embedding.model_folder import MULTILINGUAL
from cairn.settings import Environment
from cairn.settings.chat_models import DEMONSTRATION_ONLY, PACKAGED, load_chosen_model, save_chosen_model
from web.cli import doctor
from web.management.commands import models, up

LARGER = "qwen2.5-coder-1.5b"


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The larger model is installed there."""
    file = tmp_path / "models" / "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
    file.parent.mkdir()
    file.touch()
    configure(monkeypatch, tmp_path)
    return tmp_path


def configure(monkeypatch: pytest.MonkeyPatch, data_dir: Path, *, llm_model: str | None = None) -> None:
    given = Environment(data_dir=data_dir, llm_model=llm_model)
    for module in (models, up, doctor):
        monkeypatch.setattr(module, "environment", lambda: given)
    for module in (models, doctor):
        monkeypatch.setattr(module, "effective_environment", lambda: given)


def install(name: str) -> str:
    out = StringIO()
    call_command("models", "install", name, stdout=out)
    return out.getvalue()


def test_chosen_model_is_used_until_another_is_chosen(data_dir: Path) -> None:
    assert install(LARGER) == f"Cairn uses {LARGER} from its next start on.\n"
    assert load_chosen_model(data_dir) == LARGER
    install(PACKAGED)
    assert load_chosen_model(data_dir) == PACKAGED


def test_settings_overriding_the_choice_are_reported(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, data_dir, llm_model="/srv/other.gguf")
    assert "uses that model instead" in install(LARGER)


def test_unknown_model_name_is_rejected(data_dir: Path) -> None:
    err = StringIO()
    with pytest.raises(SystemExit) as left:
        call_command("models", "install", "none", stderr=err)
    assert left.value.code == 1
    assert f"no model “none”. Available: {PACKAGED}, {LARGER}, {MULTILINGUAL}" in err.getvalue()


def test_installing_an_embedding_model_does_not_change_the_chat_model(data_dir: Path) -> None:
    save_chosen_model(data_dir, LARGER)
    (data_dir / "models" / "multilingual-e5-small-1").mkdir()
    printed = install(MULTILINGUAL)
    assert f"EMBEDDING_MODEL={MULTILINGUAL}" in printed
    assert f"manage.py reindex --embedding-model {MULTILINGUAL} --swap" in printed
    assert load_chosen_model(data_dir) == LARGER


def test_up_command_chooses_the_model_before_starting(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def supervise() -> None:
        raise SystemExit(load_chosen_model(data_dir))

    monkeypatch.setattr(up, "supervise", supervise)
    for name in (LARGER, PACKAGED):
        with pytest.raises(SystemExit) as started:
            call_command("up", "--model", name)
        assert started.value.code == name
    with pytest.raises(SystemExit) as started:
        call_command("up")
    assert started.value.code == PACKAGED


def test_doctor_warns_about_the_demonstration_model(data_dir: Path) -> None:
    assert DEMONSTRATION_ONLY in doctor.CHECKS["Language model"]()
    save_chosen_model(data_dir, LARGER)
    assert doctor.CHECKS["Language model"]() == str(next((data_dir / "models").iterdir()))
