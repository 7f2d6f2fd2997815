"""The audit of dependencies, with canned answers of the vulnerability service."""

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "vulnerabilities.py"
GOOD = {"name": "django", "version": "5.2.19", "vulns": []}
BAD = {"name": "lxml", "version": "6.0", "vulns": [{"id": "CVE-1", "fix_versions": ["6.1"]}]}
OURS = {"name": "cairn", "skip_reason": "not on PyPI"}


@pytest.fixture
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answered(monkeypatch: pytest.MonkeyPatch, audit: ModuleType, *answers: Any) -> list[list[str]]:
    """Plays pip-audit; the commands that it was given."""
    commands: list[list[str]] = []
    left = list(answers)

    def run(command: list[str], **_: Any) -> Any:
        commands.append(command)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        output = answer if isinstance(answer, str) else json.dumps({"dependencies": answer})
        return subprocess.CompletedProcess(command, 0, output, "")

    monkeypatch.setattr(audit.subprocess, "run", run)
    return commands


def test_known_faults_fail_and_are_named(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answered(monkeypatch, audit, [GOOD], [GOOD, BAD, OURS])
    assert audit.main() == 1
    output = capsys.readouterr().out
    assert "2 packages checked, 1 known vulnerabilities" in output
    assert "lxml 6.0: CVE-1, fixed in 6.1" in output
    assert "not checked: cairn" in output


def test_audit_passes_without_known_vulnerabilities(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(monkeypatch, audit, [GOOD], [GOOD, OURS])
    assert audit.main() == 0


@pytest.mark.parametrize(
    "answer",
    ["", "no JSON", [{"name": "django", "skip_reason": "unknown"}], [], subprocess.TimeoutExpired("pip", 1)],
)
def test_unreachable_package_index_fails_the_audit(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: Any
) -> None:
    commands = answered(monkeypatch, audit, answer)
    assert audit.main() == audit.NOT_CHECKED == 3
    assert capsys.readouterr().out.startswith("NOT CHECKED")
    assert len(commands) == 1
    assert "--requirement" in commands[0]
