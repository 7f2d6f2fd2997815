"""One-time work in a child process, which isolates its memory, warnings and crashes."""

import subprocess
import sys
from pathlib import Path

import cairn
from cairn.errors import CairnError


class ChildFailed(CairnError):
    """The message is the last line the child wrote."""


def run_in_child(module: str, *arguments: Path) -> None:
    """Run `module` as a program, with the import path of this process."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    source_root = Path(cairn.__file__).parents[1]
    done = subprocess.run(  # noqa: S603 - our own code
        command, cwd=source_root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ChildFailed(done.stderr.strip().rpartition("\n")[2] or f"{module} ended with {done.returncode}")
