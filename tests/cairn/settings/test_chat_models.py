"""The choice of the language model: the one in the settings, else the one installed last."""

from pathlib import Path
from typing import Any

import pytest

from cairn.errors import ConfigurationError
from cairn.inference.chat import find_gguf, open_chat_model
from cairn.settings import Environment
from cairn.settings.chat_models import DOWNLOADABLE, PACKAGED, load_chosen_model, save_chosen_model
from retrieval.conversations import answer_models

LARGER = "qwen2.5-coder-1.5b"


@pytest.fixture
def chosen(tmp_path: Path) -> Path:
    save_chosen_model(tmp_path, LARGER)
    return tmp_path


def test_packaged_model_is_used_unless_another_is_chosen(tmp_path: Path) -> None:
    given = Environment(data_dir=tmp_path)
    assert (given.local_chat_model, given.has_packaged_chat_model) == (PACKAGED, True)
    save_chosen_model(tmp_path, LARGER)
    assert (given.local_chat_model, given.has_packaged_chat_model) == (LARGER, False)
    save_chosen_model(tmp_path, PACKAGED)
    assert given.has_packaged_chat_model


@pytest.mark.parametrize(
    ("settings", "model"),
    [
        ({"llm_model": "/srv/other.gguf"}, "/srv/other.gguf"),
        ({"llm_model": PACKAGED}, PACKAGED),
        ({"llm_base_url": "http://llm:8001/v1", "llm_model": "mistral"}, None),
        ({"llm_class": "package.Class"}, None),
    ],
)
def test_settings_win_over_the_choice(chosen: Path, settings: dict[str, Any], model: str | None) -> None:
    given = Environment(data_dir=chosen, **settings)
    assert given.local_chat_model == model
    assert given.has_packaged_chat_model is (model == PACKAGED)
    assert given.downloaded_chat_model is None


@pytest.mark.parametrize(
    ("settings", "writes"),
    [
        ({}, False),
        ({"answer_style": "written"}, True),
        ({"llm_base_url": "http://llm:8001/v1", "llm_model": "mistral"}, True),
        ({"llm_base_url": "http://llm:8001/v1", "llm_model": "mistral", "answer_style": "quoted"}, False),
    ],
)
def test_packaged_model_writes_only_on_request(
    tmp_path: Path, settings: dict[str, Any], writes: bool
) -> None:
    assert Environment(data_dir=tmp_path, **settings).writes_answers is writes


def test_larger_model_writes_answers(chosen: Path) -> None:
    assert Environment(data_dir=chosen).writes_answers


def test_model_server_requires_its_own_model_name(chosen: Path) -> None:
    with pytest.raises(ConfigurationError, match="LLM_BASE_URL needs LLM_MODEL"):
        open_chat_model(Environment(data_dir=chosen, llm_base_url="http://127.0.0.1:1/v1"))


def test_downloadable_model_can_be_named_in_the_settings(tmp_path: Path) -> None:
    given = Environment(data_dir=tmp_path, llm_model=LARGER)
    assert given.downloaded_chat_model == DOWNLOADABLE[LARGER]
    with pytest.raises(ConfigurationError, match=f"Run: manage.py models install {LARGER}"):
        find_gguf(given)
    path = DOWNLOADABLE[LARGER].file_in(tmp_path)
    path.parent.mkdir()
    path.touch()
    assert find_gguf(given) == path
    assert find_gguf(Environment(llm_model=PACKAGED)).name == "SmolLM2-135M-Instruct.Q4_1.gguf"


def test_model_choice_of_another_version_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "chat_model").write_text("from-the-future\n")
    assert load_chosen_model(tmp_path) == PACKAGED


def test_model_without_a_gpu_gets_less_evidence(chosen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tokens(environment: Environment) -> int | None:
        monkeypatch.setattr(answer_models, "effective_environment", lambda: environment)
        return answer_models.default_profile(writes=True).evidence_tokens

    assert tokens(Environment(data_dir=chosen)) == answer_models.IN_PROCESS_EVIDENCE_TOKENS
    assert tokens(Environment(llm_model="/srv/other.gguf")) == answer_models.IN_PROCESS_EVIDENCE_TOKENS
    assert tokens(Environment(data_dir=chosen, answer_evidence_tokens=99)) == 99
    assert tokens(Environment(llm_base_url="http://127.0.0.1:1/v1")) is None
    assert not Environment(data_dir=chosen).rewrites_questions
