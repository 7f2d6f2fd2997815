"""Tables as a first start makes them, once for all servers and test databases: migrating takes seconds.

That `up` and other commands migrate an empty folder by themselves is tried where commands are: they get none.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tests.environment import clean_environment

_ROOT: Final = Path(__file__).resolve().parents[1]
_PACKAGES: Final = ("django", "django-allauth")
_FILE: Final = "cairn.sqlite3"


def copy_tables(target: Path) -> None:
    """`target`: the file to be. What is there stays."""
    if not target.exists():
        shutil.copyfile(_migrated(), target)


def share_tables(data_dir: Path) -> None:
    copy_tables(data_dir / _FILE)


def _migrated() -> Path:
    kept = Path(tempfile.gettempdir()) / f"cairn-tests-tables-{os.getuid()}-{_digest()}.sqlite3"
    if not kept.exists():
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable,
                str(_ROOT / "manage.py"),
                "migrate",
                "--skip-checks",
                "--verbosity",
                "0",
            ]
            subprocess.run(command, env=clean_environment(folder), cwd=_ROOT, check=True)
            whole = kept.with_suffix(f".{os.getpid()}")
            shutil.copyfile(Path(folder, _FILE), whole)
        whole.replace(kept)  # two processes may make one at once: either is as good
    return kept


def _digest() -> str:
    """Another one for other migrations, apps or packages."""
    digest = hashlib.sha256("".join(map(version, _PACKAGES)).encode())
    folders = ("platform", "ingestion", "retrieval", "web")
    sources = [path for folder in folders for path in (_ROOT / folder).rglob("migrations/*.py")]
    for path in sorted([*sources, _ROOT / "platform" / "cairn" / "settings" / "django.py"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
