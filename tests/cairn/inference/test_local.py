import shutil
from pathlib import Path

import huggingface_hub.constants
import pytest

from cairn.errors import ConfigurationError
from cairn.inference.local_models import ModelFolder

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Hugging Face cache with the model acme/tiny."""
    stored = tmp_path / "hub" / "models--acme--tiny"
    (stored / "snapshots" / COMMIT).mkdir(parents=True)
    (stored / "snapshots" / COMMIT / "config.json").write_text("{}")
    (stored / "refs").mkdir()
    (stored / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return stored / "snapshots" / COMMIT


def test_model_folder_is_found_by_path(cache: Path, tmp_path: Path) -> None:
    shutil.copytree(cache, tmp_path / "mine")
    folder = ModelFolder.of("RERANKER_MODEL", str(tmp_path / "mine"))
    assert (folder.name, folder.path) == ("mine", tmp_path / "mine")


def test_model_name_is_looked_up_in_the_cache(cache: Path) -> None:
    folder = ModelFolder.of("RERANKER_MODEL", "acme/tiny")
    assert (folder.name, folder.path) == ("acme/tiny", cache)


@pytest.mark.parametrize(
    "model", ["", "acme/other", "../x", "a b//c", "/nowhere", "\0", "x" * 5000, "~nobody-here/x"]
)
def test_missing_model_is_named_with_its_setting(cache: Path, model: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^GROUNDING_MODEL .*config"):
        ModelFolder.of("GROUNDING_MODEL", model)
