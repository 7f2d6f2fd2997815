"""The attack suite is large enough, and a check in it cannot pass without having shown anything."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ROOT
from tests.web.security.attacks.recorder import Attack

pytestmark = pytest.mark.slow

ATTACKS = Path(__file__).with_name("attacks")
AT_LEAST = 300
CONFTEST = "from tests.web.security.attacks.conftest import attack, pytest_runtest_call"
VACUOUS = """
def test_only_attacks(attack):
    attack.refused(True)

def test_only_tries_what_is_allowed(attack):
    attack.allowed(True)

def test_does_both(attack):
    attack.refused(True)
    attack.allowed(True)
"""


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-n0", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_attack_suite_has_enough_checks() -> None:
    output = run("--collect-only", str(ATTACKS))
    checks = [line for line in output.splitlines() if "::test_" in line]
    assert len(checks) >= AT_LEAST, f"{len(checks)} checks\n{output[-2000:]}"


def test_vacuous_check_fails(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tmp_path / "test_vacuous.py").write_text(VACUOUS, encoding="utf-8")
    output = run("-c", "pyproject.toml", "--rootdir", str(ROOT), str(tmp_path))
    assert "2 failed, 1 passed" in output, output


@pytest.mark.parametrize("half", ["refused", "allowed"])
def test_failing_half_of_an_attack_fails_immediately(half: str) -> None:
    with pytest.raises(AssertionError):
        getattr(Attack(), half)(False)
