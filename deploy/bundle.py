"""A bundle for machines without network: `bundle.py make FOLDER`, and in it `install.py TARGET`.

Runs on the bare system Python, so it uses the standard library only. The same file is both.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NoReturn

SUMS: Final = "SHA256SUMS"
WHEELS, PROGRAM, MODELS, INSTALL, PYTHON = "wheels", "program", "models", "install.py", "PYTHON"
PARTS: Final = ("platform", "ingestion", "retrieval", "web", "docs", "deploy", "requirements")
FILES: Final = ("manage.py", "pyproject.toml", "README.md", "LICENSE")
NOTICES: Final = "THIRD-PARTY-NOTICES.md"
LOCKS: Final = ("build", "server", "models")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.env", "secrets")


def fail(message: str) -> NoReturn:
    sys.exit(f"error: {message}")


def make(project: Path, target: Path, *, models: Sequence[Path], locks: Sequence[str]) -> None:
    """Has another name until it is whole."""
    if target.exists():
        fail(f"{target} is there already.")
    fresh = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(fresh, ignore_errors=True)
    _copy_program(project, fresh / PROGRAM)
    for model in models:
        if not model.exists():
            fail(f"There is no {model}.")
        (shutil.copytree if model.is_dir() else shutil.copy2)(model, _made(fresh / MODELS) / model.name)
    for lock in locks:
        _download_wheels(project, fresh / WHEELS, lock)
    shutil.copy2(Path(__file__), fresh / INSTALL)
    shutil.copy2(Path(__file__).with_name(NOTICES), fresh / NOTICES)
    (fresh / PYTHON).write_text(_python(), encoding="ascii")
    lines = [f"{_digest(path)}  {path.relative_to(fresh).as_posix()}\n" for path in _files(fresh)]
    (fresh / SUMS).write_text("".join(lines), encoding="utf-8")
    fresh.rename(target)


def _copy_program(project: Path, program: Path) -> None:
    program.mkdir(parents=True)
    for name in FILES:
        if (project / name).exists():
            shutil.copy2(project / name, program / name)
    for name in PARTS:
        if (project / name).is_dir():
            shutil.copytree(project / name, program / name, ignore=_LEFT_OUT)


def _download_wheels(project: Path, folder: Path, lock: str) -> None:
    """Fetch what a lock file lists, each package as a wheel: nothing is built where there is no compiler.

    Only files whose SHA-256 the lock file names are taken.
    """
    listed = _made(folder) / f"{lock}.txt"
    command = [sys.executable, project / ".ci" / "locked.py", lock]
    listed.write_text(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603
    wheel = [sys.executable, "-m", "pip", "wheel", "--disable-pip-version-check", "--require-hashes"]
    _run([*wheel, "--no-deps", "--wheel-dir", str(folder), "--requirement", str(listed)])
    listed.unlink()


def install(bundle: Path, target: Path) -> None:
    """Nothing is written before the bundle was found whole."""
    _require_whole(bundle)
    made_for = (bundle / PYTHON).read_text(encoding="ascii")
    if made_for != _python():
        fail(f"The bundle is for Python {made_for}, and this is {_python()}.")
    if target.exists() and any(target.iterdir()):
        fail(f"{target} is not empty.")
    shutil.copytree(bundle / PROGRAM, target, dirs_exist_ok=True)
    if (bundle / MODELS).exists():
        shutil.copytree(bundle / MODELS, target / MODELS)
    venv.create(target / ".venv", with_pip=True)
    pip = [str(target / ".venv" / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    offline = [*pip, "--quiet", "--no-index", f"--find-links={bundle / WHEELS}"]
    own = re.compile(r"cairn-")
    wheels = [str(path) for path in sorted((bundle / WHEELS).glob("*.whl")) if not own.match(path.name)]
    if wheels:
        _run([*offline, "--no-deps", *wheels])
    _run([*offline, "--no-deps", "--no-build-isolation", "-e", str(target)])


def _require_whole(bundle: Path) -> None:
    try:
        lines = (bundle / SUMS).read_text(encoding="utf-8").splitlines()
    except OSError:
        fail(f"{bundle} is no bundle that was finished: it has no {SUMS}.")
    told = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = {path.relative_to(bundle).as_posix(): path for path in _files(bundle) if path.name != SUMS}
    for name in sorted(told.keys() | found.keys()):
        if name not in found:
            fail(f"The bundle lacks {name}.")
        if told.get(name) != _digest(found[name]):
            fail(f"In the bundle {name} is not as it was written.")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, check=False)  # noqa: S603 - pip, with arguments from this file
    if done.returncode:
        fail("pip could not do it.")


def main() -> None:
    here = Path(__file__).resolve()
    if here.name == INSTALL:
        parser = argparse.ArgumentParser(description="Install Cairn from this bundle, without network.")
        parser.add_argument("target", type=Path)
        install(here.parent, parser.parse_args().target.resolve())
        return
    parser = argparse.ArgumentParser(description="Make a bundle for machines without network.")
    parser.add_argument("what", choices=("make",))
    parser.add_argument("target", type=Path)
    parser.add_argument(
        "--model", type=Path, action="append", default=[], help="a folder or file to take along"
    )
    parser.add_argument("--project", type=Path, default=here.parents[1], help=argparse.SUPPRESS)
    given = parser.parse_args()
    own = given.project.resolve() == here.parents[1]
    make(
        given.project.resolve(),
        given.target.resolve(),
        models=given.model,
        locks=LOCKS if own else (),
    )


if __name__ == "__main__":
    main()
