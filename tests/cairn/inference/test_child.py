from pathlib import Path

import pytest

from cairn.inference.child_process import ChildFailed, run_in_child


def test_child_runs_a_module_with_arguments(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1 + 1")
    run_in_child("py_compile", tmp_path / "a.py")
    assert list(tmp_path.glob("__pycache__/a.*.pyc"))


def test_child_failure_includes_the_last_line() -> None:
    with pytest.raises(ChildFailed, match=r"No module named cairn\.inference\.absent"):
        run_in_child("cairn.inference.absent")
