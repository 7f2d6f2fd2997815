"""The first use of native libraries, with the race made one that is always lost."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cairn
from tests.stress.first_inference import FINISHED, HUNG, run_process
from tests.stress.guards import slow_guards

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parents[3]
_PLATFORM = Path(cairn.__file__).parent
_NATIVE = {"openvino", "openvino_genai", "torch", "sentence_transformers", "transformers"}


_TORCH = """
import faulthandler
import sys
import numpy
import torch
from cairn.inference.native_libraries import prepare_torch
from tests.stress.first_inference import use_at_once

if "prepared" in sys.argv:
    prepare_torch()
array = numpy.ones((1, 1), numpy.float32)
faulthandler.dump_traceback_later(20, exit=True)
use_at_once([lambda: torch.from_numpy(array).numpy()] * 2)
faulthandler.cancel_dump_traceback_later()
"""


@pytest.mark.models
def test_concurrent_first_use_of_the_encoder_hangs_unless_prepared(
    tmp_path: Path, models_folder: Path, openvino_encoder: object
) -> None:
    environment = slow_guards(tmp_path)
    log = Path(environment["SLOW_GUARDS_LOG"])
    models = f"--models={models_folder}"

    assert run_process(environment, models, "--unprepared", hangs_after=20) == HUNG
    assert "other _pyopenvino" in log.read_text()
    log.unlink()
    assert run_process(environment, models, hangs_after=120) == FINISHED
    assert "main _pyopenvino" in log.read_text()
    assert "other" not in log.read_text()


@pytest.mark.models
def test_concurrent_first_use_of_pytorch_hangs_unless_prepared(tmp_path: Path) -> None:
    environment = slow_guards(tmp_path)

    assert "Timeout (0:00:20)!" in _torch_process(environment)
    assert _torch_process(environment, "prepared") == ""


def _torch_process(environment: dict[str, str], *arguments: str) -> str:
    """Return the output of the process."""
    return subprocess.run(
        [sys.executable, "-c", _TORCH, *arguments],
        env={**os.environ, **environment, "PYTHONPATH": f"{_ROOT}:{_ROOT / 'platform'}"},
        capture_output=True,
        text=True,
        check=False,
    ).stderr


def test_native_libraries_are_imported_only_where_they_are_prepared() -> None:
    """A module that is added here must call `prepare_openvino` or `prepare_torch` before it loads a model."""
    users = {
        path.relative_to(_PLATFORM).as_posix()
        for path in _PLATFORM.rglob("*.py")
        if _imported(path) & _NATIVE
    }
    single_threaded = {"inference/chat/gguf_to_openvino.py", "inference/embedding/openvino_export.py"}
    assert users - single_threaded == {
        "inference/native_libraries.py",
        "inference/chat/openvino_pipeline.py",
        "inference/chat/openvino.py",
        "inference/embedding/openvino.py",
        "inference/embedding/pytorch.py",
        "inference/cross_encoders/transformer.py",
    }


def _imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found
