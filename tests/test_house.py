"""Rules of this code base that no tool checks."""

import platform
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_platform_is_a_source_root_and_not_a_package() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()
    assert list((ROOT / "platform").glob("*.py")) == []


def test_standard_platform_module_is_not_shadowed() -> None:
    assert platform.python_version().startswith("3.")
    assert Path(platform.__file__).parent != ROOT / "platform"
