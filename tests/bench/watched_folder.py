"""Scans of a large watched folder: `python -m tests.bench.watched_folder [--files N] [--json FILE]`.

Each stands beside a bare `os.walk` that reads the size and time of every file, in the same run. Files are
submitted, but not processed: `tests.bench.ingest` measures that.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from rich.console import Console

from tests.bench.figures import Figure, show
from tests.bench.server import ROOT

PER_FOLDER: Final = 200
CHANGED: Final = 10
OLD_SECONDS: Final = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with TemporaryDirectory() as place:
        folder, data = Path(place, "share"), Path(place, "data")
        data.mkdir()
        os.environ.update(
            DATA_DIR=str(data), WATCH_ROOTS=place, DJANGO_SETTINGS_MODULE="cairn.settings.django"
        )
        create_files(folder, options.files)
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(migrate, check=True, cwd=ROOT)
        figures = measure(folder, options.files)
    show(figures, Console(), file=options.json)


def create_files(folder: Path, files: int) -> None:
    for number in range(files):
        path = path_of(folder, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, f"# Rule {number}\n\nOffice {number} closes at five.\n")


def path_of(folder: Path, number: int) -> Path:
    return folder / f"{number // PER_FOLDER:04}" / f"{number:06}.md"


def write(path: Path, text: str) -> None:
    """Write a file with an old modification time: new ones wait for the next scan."""
    path.write_text(text)
    os.utime(path, (time.time() - OLD_SECONDS,) * 2)


def walk_seconds(folder: Path) -> float:
    began = time.perf_counter()
    for place, _folders, names in os.walk(folder):
        for name in names:
            os.stat(f"{place}/{name}")  # noqa: PTH116 - the bare library
    return time.perf_counter() - began


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(folder: Path, files: int) -> list[Figure]:
    import django

    django.setup()
    from cairn.access.principals import principal_for_user
    from cairn.access.services import knowledge_base_create
    from cairn.accounts.services import user_create
    from ingestion import broker
    from ingestion.models import Watch
    from ingestion.watch_folders.services import scan_folder, watch_create

    broker.send = lambda *_args, **_more: None
    principal = principal_for_user(user_create(username="bench", is_admin=True))
    base = knowledge_base_create(name="Share", principal=principal)
    watch = watch_create(knowledge_base=base, path=str(folder), principal=principal, prune=True)

    def scan(name: str, **expected: int) -> list[Figure]:
        bare = walk_seconds(folder)
        Watch.objects.update(looked_at=None)
        began = time.perf_counter()
        scan_folder(watch.id)
        seconds = time.perf_counter() - began
        result: dict[str, Any] = Watch.objects.get(pk=watch.pk).result
        if any(result[count] != number for count, number in expected.items()):
            raise SystemExit(f"{name}: {result} instead of {expected}")
        return [
            Figure(f"{name}: time", seconds, "s"),
            Figure(f"{name}: compared with os.walk", seconds / bare, "times"),
            Figure(f"{name}: peak memory of the process until then", peak_mb(), "MB"),
        ]

    figures = [Figure("files", files, ""), Figure("peak memory before", peak_mb(), "MB")]
    figures += scan("first scan", files=files, submitted=files)
    figures += scan("no changes", files=files, unchanged=files, submitted=0)
    for number in range(CHANGED):
        write(path_of(folder, number), f"# Rule {number}\n\nOffice {number} closes at six.\n")
    figures += scan(f"{CHANGED} changes", files=files, unchanged=files - CHANGED, submitted=CHANGED)
    return figures


if __name__ == "__main__":
    main()
