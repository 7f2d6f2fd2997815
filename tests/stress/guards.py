"""Makes the race between the GIL and the guards of C++ static variables one that is always lost."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_name("slow_guards.c")


def slow_guards(folder: Path) -> dict[str, str]:
    """The environment of a Python process in which every such initialisation releases the GIL.

    The process writes a line for each of them, "main" or "other" thread and the library, to guards.log.
    """
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler on Linux")
    library = folder / "slow_guards.so"
    options = ["-shared", "-fPIC", "-O1", "-Wl,--unresolved-symbols=ignore-all"]
    subprocess.run([compiler, *options, "-o", library, _SOURCE, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "SLOW_GUARDS_LOG": str(folder / "guards.log")}
