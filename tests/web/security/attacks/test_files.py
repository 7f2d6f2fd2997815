"""Other users of the machine, and readers of collected output, learn no secret."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cairn.errors import ConfigurationError
from cairn.settings.file_permissions import make_private, open_to_others
from tests.servers import ROOT, server_environment
from tests.shared_tables import share_tables
from tests.web.security.attacks.recorder import Attack
from web.cli import doctor
from web.data_dir.first_admin import FirstAdmin, first_admin_create, introduction, password_file
from web.processes.progress_report import reporter_for

SECRETS = ["secret_key", "backup_key", "admin_password", "audit_head.json", "server.log"]
OLDER = [*SECRETS, "cairn.sqlite3", "files/originals/ab/document", "index/segment"]


def others_may_read(data_dir: Path, path: Path) -> bool:
    """Return whether others may read it according to the kernel: folders must be passable, and the file
    readable."""
    folders = [parent for parent in path.parents if parent == data_dir or data_dir in parent.parents]
    return bool(path.stat().st_mode & 0o044) and all(each.stat().st_mode & 0o011 for each in folders)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder as versions before left it, after one command of this version has run with it."""
    folder = tmp_path_factory.mktemp("older") / "data"
    umask = os.umask(0o022)
    try:
        folder.mkdir(mode=0o755)
        for name in OLDER:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("a secret that is long enough to be one")
        (folder / "cairn.sqlite3").unlink()
        share_tables(folder)
        (folder / "cairn.sqlite3").chmod(0o644)
        assert all(others_may_read(folder, folder / name) for name in OLDER), "nothing to take away"
        command = [
            sys.executable,
            str(ROOT / "manage.py"),
            "create_api_key",
            "--user",
            "nobody",
            "--name",
            "x",
        ]
        subprocess.run(command, env=server_environment(folder), cwd=ROOT, capture_output=True, check=False)
        yield folder
    finally:
        os.umask(umask)
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", OLDER)
def test_older_data_folder_is_closed_to_other_users(older: Path, name: str, attack: Attack) -> None:
    attack.allowed((older / name).stat().st_size > 0 and os.access(older / name, os.R_OK | os.W_OK))
    attack.refused(not others_may_read(older, older / name))
    if "/" not in name:
        attack.refused(not (older / name).stat().st_mode & 0o077, "the file itself stayed open")


def test_files_created_by_a_command_are_private(older: Path, attack: Attack) -> None:
    """Even with a permissive umask."""
    made = [path for path in older.iterdir() if path.name not in {Path(name).parts[0] for name in OLDER}]
    attack.allowed(bool(made))
    attack.refused(not [path for path in made if path.stat().st_mode & 0o077], made)


def test_database_outside_the_data_folder_is_private(tmp_path: Path, attack: Attack) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere" / "cairn.sqlite3"
    for path in (data, elsewhere.parent):
        path.mkdir(mode=0o755)
    beside = elsewhere.with_name("of-somebody-else")
    for path in (elsewhere, elsewhere.with_name("cairn.sqlite3-wal"), beside):
        path.touch()
        path.chmod(0o644)
    make_private(data, elsewhere)
    attack.refused(open_to_others(data, elsewhere) == [])
    attack.allowed(beside.stat().st_mode & 0o777 == 0o644)


def test_doctor_names_files_open_to_others(tmp_path: Path, settings: Any, attack: Attack) -> None:
    """A folder of another owner, whose mode Cairn may not change."""
    (tmp_path / "data" / "tmp").mkdir(parents=True)
    settings.DATA_DIR = tmp_path / "data"
    settings.SQLITE_FILE = None
    (tmp_path / "data").chmod(0o755)
    with pytest.raises(ConfigurationError, match="chmod go="):
        doctor.CHECKS["Data folder"]()
    attack.refused(True)
    make_private(tmp_path / "data", None)
    attack.allowed("GB free" in doctor.CHECKS["Data folder"]())


@pytest.mark.parametrize("as_json", [False, True], ids=["plain", "JSON"])
def test_first_password_is_shown_only_on_a_terminal(
    db: None, tmp_path: Path, settings: Any, attack: Attack, as_json: bool
) -> None:
    settings.DATA_DIR = tmp_path
    admin = first_admin_create()
    assert isinstance(admin, FirstAdmin)
    assert admin.password
    collected = io.StringIO()
    reporter = reporter_for(collected, as_json=as_json)
    reporter.step(introduction(admin, on_terminal=reporter.on_terminal))
    attack.refused(admin.password not in collected.getvalue())
    assert str(password_file()) in collected.getvalue()
    assert password_file().read_text() == admin.password
    assert password_file().stat().st_mode & 0o777 == 0o600
    attack.allowed(admin.password in _said_on_a_terminal(admin))


def _said_on_a_terminal(admin: FirstAdmin) -> str:
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal:
        reporter = reporter_for(terminal)
        reporter.step(introduction(admin, on_terminal=reporter.on_terminal))
        output = os.read(ours, 10_000).decode()
    os.close(ours)
    return output


def test_documentation_makes_no_secret_readable(attack: Attack) -> None:
    texts = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", *(ROOT / "deploy").rglob("*.y*ml")]
    attack.refused(not [path for path in texts if "chmod 644" in path.read_text(encoding="utf-8")])
    attack.allowed("chmod 640" in (ROOT / "docs" / "operate" / "deploying.md").read_text(encoding="utf-8"))
