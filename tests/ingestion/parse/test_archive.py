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


def test_ordinary_archive_passes(tmp_path: Path) -> None:
    zip_guard.check(write(tmp_path / "a", one=b"text " * 1000, two=b"more"), "Word document")


def test_zip_bomb_is_rejected_without_storing_it(tmp_path: Path) -> None:
    assert reason(write(tmp_path / "a", bomb=bytes(64 << 20))) is Rejection.ARCHIVE_UNSAFE


def test_sizes_of_small_members_are_summed(tmp_path: Path) -> None:
    members = {f"part{i}": bytes(2 << 20) for i in range(12)}
    assert reason(write(tmp_path / "a", **members)) is Rejection.ARCHIVE_UNSAFE


def test_false_sizes_in_the_zip_directory_are_rejected(tmp_path: Path) -> None:
    path = write(tmp_path / "a", bomb=bytes(8 << 20))
    data = bytearray(path.read_bytes())
    entry = data.rfind(b"PK\1\2")
    data[entry + 24 : entry + 28] = struct.pack("<I", 1024)
    path.write_bytes(data)
    assert reason(path) is Rejection.ARCHIVE_UNSAFE


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..\\..\\win.ini"])
def test_member_paths_outside_the_archive_are_rejected(tmp_path: Path, name: str) -> None:
    assert reason(write(tmp_path / "a", **{name: b"x"})) is Rejection.ARCHIVE_UNSAFE


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    assert reason(write(tmp_path / "a", **{str(i): b"" for i in range(10_001)})) is Rejection.ARCHIVE_UNSAFE


def test_encrypted_member_is_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "a", secret=b"x")
    data = bytearray(path.read_bytes())
    data[data.rfind(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    assert reason(path) is Rejection.PASSWORD_PROTECTED


def test_truncated_archive_is_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "a", one=b"text " * 1000)
    path.write_bytes(path.read_bytes()[:-30])
    assert reason(path) is Rejection.DAMAGED_FILE
