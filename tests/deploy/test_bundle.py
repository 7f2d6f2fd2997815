"""A bundle of a tiny project is made and installed, with no package index to ask."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BUNDLE = Path(__file__).resolve().parents[2] / "deploy" / "bundle.py"
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

_BACKEND = """
import zipfile

def _wheel(folder, files):
    name = "cairn-0.1-py3-none-any.whl"
    info = "cairn-0.1.dist-info"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: cairn\\nVersion: 0.1\\n")
        told = "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr(f"{info}/WHEEL", told)
        wheel.writestr(f"{info}/RECORD", "")
    return name

def build_wheel(folder, settings=None, metadata=None):
    return _wheel(folder, {})

def build_editable(folder, settings=None, metadata=None):
    import os
    return _wheel(folder, {"cairn.pth": os.getcwd() + "/web\\n"})
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "web").mkdir(parents=True)
    (folder / "platform").mkdir()
    (folder / "web" / "greeting.py").write_text("SAID = 'hello'\n")
    (folder / "web" / "own.env").write_text("SECRET_KEY=x\n")
    (folder / "platform" / "backend.py").write_text(_BACKEND)
    (folder / "manage.py").write_text("import greeting; print(greeting.SAID)\n")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["platform"]\n'
    )
    return folder


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull},
    )


def test_bundle_is_complete_or_refused_and_installs_offline(project: Path, tmp_path: Path) -> None:
    model = tmp_path / "small-model"
    model.mkdir()
    (model / "weights.bin").write_bytes(b"weights")
    bundle, target = tmp_path / "bundle", tmp_path / "opt"
    made = run(BUNDLE, "make", bundle, "--project", project, "--model", model)
    assert made.returncode == 0, made.stderr
    assert not list(bundle.rglob("*.env")), "settings of the machine where it is made stay there"
    assert run(BUNDLE, "make", bundle, "--project", project).returncode == 1

    weights = bundle / "models" / "small-model" / "weights.bin"
    weights.write_bytes(b"others")
    refused = run(bundle / "install.py", target)
    assert refused.returncode == 1
    assert "weights.bin is not as it was written" in refused.stderr
    assert not target.exists()
    weights.write_bytes(b"weights")

    done = run(bundle / "install.py", target)
    assert done.returncode == 0, done.stderr
    process = subprocess.run(
        [target / ".venv/bin/python", target / "manage.py"], capture_output=True, text=True
    )
    assert process.stdout == "hello\n"
    assert (target / "models" / "small-model" / "weights.bin").read_bytes() == b"weights"
    assert run(bundle / "install.py", target).returncode == 1, "it is not empty"

    (bundle / "SHA256SUMS").unlink()
    assert "no bundle that was finished" in run(bundle / "install.py", tmp_path / "other").stderr
