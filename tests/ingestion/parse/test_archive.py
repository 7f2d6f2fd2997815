import struct
import zipfile
from pathlib import Path

import pytest

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse.archives import zip_guard


def write(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def reason(path: Path) -> Rejection:
    with pytest.raises(DocumentRejected) as caught:
        zip_guard.check(path, "Word document")
    return caught.value.reason


def test_an_ordinary_archive_passes(tmp_path: Path) -> None:
    zip_guard.check(write(tmp_path / "a", one=b"text " * 1000, two=b"more"), "Word document")


def test_a_bomb_is_refused_without_being_kept(tmp_path: Path) -> None:
    assert reason(write(tmp_path / "a", bomb=bytes(64 << 20))) is Rejection.ARCHIVE_UNSAFE


def test_many_small_members_count_together(tmp_path: Path) -> None:
    members = {f"part{i}": bytes(2 << 20) for i in range(12)}
    assert reason(write(tmp_path / "a", **members)) is Rejection.ARCHIVE_UNSAFE


def test_a_directory_that_lies_about_sizes_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a", bomb=bytes(8 << 20))
    data = bytearray(path.read_bytes())
    entry = data.rfind(b"PK\1\2")
    data[entry + 24 : entry + 28] = struct.pack("<I", 1024)
    path.write_bytes(data)
    assert reason(path) is Rejection.ARCHIVE_UNSAFE


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..\\..\\win.ini"])
def test_paths_that_leave_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    assert reason(write(tmp_path / "a", **{name: b"x"})) is Rejection.ARCHIVE_UNSAFE


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    assert reason(write(tmp_path / "a", **{str(i): b"" for i in range(10_001)})) is Rejection.ARCHIVE_UNSAFE


def test_an_encrypted_member_is_named_as_such(tmp_path: Path) -> None:
    path = write(tmp_path / "a", secret=b"x")
    data = bytearray(path.read_bytes())
    data[data.rfind(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    assert reason(path) is Rejection.PASSWORD_PROTECTED


def test_a_cut_archive_is_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "a", one=b"text " * 1000)
    path.write_bytes(path.read_bytes()[:-30])
    assert reason(path) is Rejection.DAMAGED_FILE
