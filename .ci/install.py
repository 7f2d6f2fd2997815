"""Create the virtual environment and install Cairn into it: `install.py FOLDER runtime|development`.

Only files whose SHA-256 is in requirements/ are installed. Runs on the bare system Python, so it uses the
standard library only.
"""

import re
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

OLDEST = (3, 11)
LOCKED = Path(__file__).with_name("locked.py")
REPORT_EVERY = 10.0  # seconds between lines where there is no terminal to rewrite one
NAME = re.compile(r"[^A-Za-z0-9._-]")
SIZE = re.compile(r"Downloading \S*?([^/\s]+\.(?:whl|tar\.gz))\S* \(([\d.]+ [kMG]B)\)")


def fail(message: str) -> None:
    sys.exit(f"error: {message}")


def make_environment(folder: Path) -> None:
    if (folder / "bin" / "python").exists():
        return
    say(f"Making {folder} with Python {sys.version.split()[0]}")
    try:
        venv.create(folder, with_pip=True, clear=True)
    except subprocess.CalledProcessError:
        rmtree(folder, ignore_errors=True)
        fail("this Python has no ensurepip. On Debian and Ubuntu: apt-get install python3-venv")


def write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def say(text: str) -> None:
    write(f"{text}\n")


class Progress:
    """One line that is rewritten on a terminal; now and then a new line elsewhere."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = time.monotonic()
        self._packages = 0
        self._now = "starting"
        self._live = sys.stdout.isatty()
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._ticker.start()

    def see(self, line: str) -> None:
        if line.startswith("Collecting "):
            self._packages += 1
            self._now = NAME.split(line.removeprefix("Collecting "))[0]
        elif found := SIZE.search(line.strip()):
            self._now = f"downloading {found[1].split('-')[0]} ({found[2]})"
        elif line.startswith("Installing collected packages"):
            self._now = "unpacking"

    def _tick(self) -> None:
        while not self._ended.wait(0.5 if self._live else REPORT_EVERY):
            text = f"  {self._what}: {self._packages} packages, {self._seconds()} s, {self._now}"
            write(f"\r\033[K{text[:100]}" if self._live else f"{text}\n")

    def _seconds(self) -> int:
        return round(time.monotonic() - self._began)

    def end(self) -> None:
        self._ended.set()
        self._ticker.join()
        write("\r\033[K" if self._live else "")
        say(f"  {self._what}: done in {self._seconds()} s")


def lines_of(command: list[str], log: Path) -> Iterator[str]:
    """What the command prints, line by line, kept in `log` as well; ends the program if it fails."""
    with (
        log.open("a", encoding="utf-8") as keep,
        subprocess.Popen(  # noqa: S603 -- pip, with arguments from this file
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process,
    ):
        for line in process.stdout or ():
            keep.write(line)
            yield line
    if process.returncode:
        tail = log.read_text(encoding="utf-8").splitlines()[-15:]
        fail("pip could not install it:\n  " + "\n  ".join(tail) + f"\nThe whole output is in {log}.")


def pip(folder: Path, what: str, *arguments: str) -> None:
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    progress = Progress(what)
    for line in lines_of([*command, "--progress-bar", "off", *arguments], folder / "install.log"):
        progress.see(line)
    progress.end()


def install_locked(folder: Path, what: str, name: str) -> None:
    """Install what a lock file lists. It lists dependencies as well, so pip need not look for any."""
    python, listed = folder / "bin" / "python", folder / f"{name}.txt"
    made = subprocess.run([python, LOCKED, name], capture_output=True, text=True, check=False)  # noqa: S603
    if made.returncode:
        fail(f"the lock file {name} could not be read:\n{made.stderr}")
    listed.write_text(made.stdout, encoding="utf-8")
    pip(folder, what, "--require-hashes", "--no-deps", "--requirement", str(listed))


def needs_cuda(folder: Path) -> bool:
    """Whether the PyTorch that was installed is a CUDA build; only those need NVIDIA's libraries."""
    torch = next((folder / "lib").glob("python*/site-packages/torch/version.py"), None)
    return torch is not None and "cuda: Optional[str] = '" in torch.read_text(encoding="utf-8")


def main(folder: Path, kind: str) -> None:
    if sys.version_info < OLDEST:
        fail(
            f"Cairn needs Python {OLDEST[0]}.{OLDEST[1]} or later and this is {sys.version.split()[0]}. "
            "Name another one: make PYTHON=/path/to/python3.11"
        )
    make_environment(folder)
    if kind == "development":
        install_locked(folder, "development tools", kind)
        return
    say("Installing Cairn (about 2 GB with PyTorch; two minutes on a fast line)")
    install_locked(folder, "libraries", kind)
    if needs_cuda(folder):
        install_locked(folder, "CUDA libraries", "cuda")
    install_locked(folder, "models", "models")
    install_locked(folder, "build tools", "build")
    pip(folder, "Cairn", "--no-deps", "--no-build-isolation", "-e", ".")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
