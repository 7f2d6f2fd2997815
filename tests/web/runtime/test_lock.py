import json
import subprocess
import sys
from pathlib import Path

import pytest

from web.processes.data_dir_lock import DataDirInUse, DataDirLock, holder_of

HOLD = """
import sys
from pathlib import Path
from web.processes.data_dir_lock import DataDirLock
lock = DataDirLock(Path(sys.argv[1]))
lock.acquire("manage.py up")
lock.announce("http://127.0.0.1:9")
print("held", flush=True)
sys.stdin.read()
"""


def held_elsewhere(folder: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


def test_new_folder_has_no_lock_owner(tmp_path: Path) -> None:
    assert holder_of(tmp_path / "new") is None


def test_lock_error_names_the_process_that_has_it(tmp_path: Path) -> None:
    process = held_elsewhere(tmp_path)
    try:
        with pytest.raises(DataDirInUse) as refused:
            DataDirLock(tmp_path).acquire("manage.py ingest")
        known = holder_of(tmp_path)
    finally:
        end(process)
    assert str(tmp_path) in refused.value.message
    assert f"process {process.pid} (manage.py up)" in refused.value.message
    assert "http://127.0.0.1:9" in refused.value.message
    assert known == refused.value.holder


def test_lock_of_a_killed_process_is_released(tmp_path: Path) -> None:
    end(held_elsewhere(tmp_path))
    assert holder_of(tmp_path) is None
    lock = DataDirLock(tmp_path)
    lock.acquire("manage.py up")
    assert holder_of(tmp_path).command == "manage.py up"
    lock.release()


def test_released_lock_is_free(tmp_path: Path) -> None:
    lock = DataDirLock(tmp_path)
    lock.acquire("manage.py up")
    lock.release()
    lock.release()
    assert holder_of(tmp_path) is None


def test_server_address_is_added_to_the_lock_later(tmp_path: Path) -> None:
    lock = DataDirLock(tmp_path)
    lock.acquire("manage.py up")
    assert holder_of(tmp_path).url is None
    lock.announce("http://127.0.0.1:1")
    assert holder_of(tmp_path).url == "http://127.0.0.1:1"
    lock.release()


def test_lock_without_readable_owner_is_still_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.processes.data_dir_lock._TRIES", 2)
    lock = DataDirLock(tmp_path)
    lock.acquire("manage.py up")
    (tmp_path / "lock").write_text("not json")
    assert holder_of(tmp_path).url is None
    lock.release()


def test_only_the_owner_may_read_the_lock(tmp_path: Path) -> None:
    lock = DataDirLock(tmp_path)
    lock.acquire("manage.py up")
    assert (tmp_path / "lock").stat().st_mode & 0o077 == 0
    assert json.loads((tmp_path / "lock").read_text())["command"] == "manage.py up"
    lock.release()
