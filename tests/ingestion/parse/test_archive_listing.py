"""ZIP archives as folders: what is listed, what is taken out, what is refused."""

import io
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse.archives import embedded_files, zip_guard, zip_listing
from ingestion.parse.core import formats
from ingestion.parse.core.limits import Limits

Files = dict[str, bytes]
LIMITS = Limits()


def packed(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return path


@pytest.fixture
def pack(tmp_path: Path) -> Callable[[Files], Path]:
    return lambda files: packed(tmp_path / "a.zip", files)


Pack = Callable[[Files], Path]


def listed(path: Path) -> list[str]:
    return [element.text for element in zip_listing.parse(path, LIMITS).elements]


def reason(path: Path) -> Rejection:
    with pytest.raises(DocumentRejected) as caught:
        zip_listing.parse(path, LIMITS)
    return caught.value.reason


def test_archive_files_are_listed_with_sizes(pack: Pack) -> None:
    path = pack({"a.txt": b"text", "folder/b.md": b"x" * 2400, "folder/": b""})
    assert listed(path) == ["a.txt (4 bytes)", "folder/b.md (2.4 KB)"]
    assert embedded_files.names(path, formats.ZIP, LIMITS) == ["a.txt", "folder/b.md"]
    assert embedded_files.read(path, "a.zip", 1, LIMITS) == b"x" * 2400


def test_system_files_are_omitted(pack: Pack) -> None:
    path = pack(
        {
            "__MACOSX/._a.txt": b"x", ".DS_Store": b"x", "Thumbs.db": b"x", ".git/config": b"x",
            "folder/.hidden": b"x", "~$report.docx": b"x", "a.txt": b"text",
        }
    )  # fmt: skip
    assert embedded_files.names(path, formats.ZIP, LIMITS) == ["a.txt"]
    assert embedded_files.read(path, "a.zip", 0, LIMITS) == b"text"


def test_archive_without_files_is_rejected(pack: Pack) -> None:
    assert reason(pack({"folder/": b"", ".hidden": b"x"})) is Rejection.NO_TEXT


def test_duplicate_member_names_are_distinguished(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("a/x.txt", b"one")
        for content in (b"two", b"three"):
            with pytest.warns(UserWarning, match="Duplicate"):
                opened.writestr("a/x.txt", content)
        opened.writestr("a/x (2).txt", b"four")
    names = embedded_files.names(path, formats.ZIP, LIMITS)
    assert names == ["a/x.txt", "a/x (2).txt", "a/x (3).txt", "a/x (2) (2).txt"]
    found = [embedded_files.read(path, "a.zip", place, LIMITS) for place in range(4)]
    assert found == [b"one", b"two", b"three", b"four"]


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("Grüße.txt".encode().decode("cp437"), "Grüße.txt"),
        ("windows\\path\\a.txt", "windows/path/a.txt"),
        ("./a//b.txt", "a/b.txt"),
        ("bell\x07.txt", "bell.txt"),
        ("line\nbreak.txt", "line break.txt"),
    ],
)
def test_member_names_are_decoded(pack: Pack, stored: str, shown: str) -> None:
    if stored.startswith("Gr"):
        path = pack({"Gr--------.txt": b"x"})
        raw = "Grüße.txt".encode()
        data = path.read_bytes().replace(b"Gr--------.txt", raw + b"." * (14 - len(raw)))
        path.write_bytes(data)
        assert embedded_files.names(path, formats.ZIP, LIMITS)[0].startswith("Grüße.txt")
        return
    assert embedded_files.names(pack({stored: b"x"}), formats.ZIP, LIMITS) == [shown]


def test_long_member_names_preserve_their_extension(pack: Pack) -> None:
    [name] = embedded_files.names(pack({"x" * 3000 + ".pdf": b"x"}), formats.ZIP, LIMITS)
    assert len(name) <= 400
    assert name.endswith(".pdf")


@pytest.mark.parametrize("name", ["../out.txt", "/etc/passwd", "..\\out.txt", "a/../../out.txt"])
def test_listed_paths_outside_the_archive_are_rejected(pack: Pack, name: str) -> None:
    assert reason(pack({name: b"x"})) is Rejection.ARCHIVE_UNSAFE


def test_links_are_refused(tmp_path: Path) -> None:
    path, link = tmp_path / "a.zip", zipfile.ZipInfo("link.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr(link, "/etc/passwd")
    assert reason(path) is Rejection.ARCHIVE_UNSAFE


def test_listed_zip_bomb_is_rejected_despite_false_sizes(pack: Pack) -> None:
    path = pack({"bomb": bytes(64 << 20)})
    assert reason(path) is Rejection.ARCHIVE_UNSAFE
    data = bytearray(path.read_bytes())
    entry = data.rfind(b"PK\1\2")
    data[entry + 24 : entry + 28] = (1024).to_bytes(4, "little")
    path.write_bytes(data)
    assert reason(path) is Rejection.ARCHIVE_UNSAFE


def test_archive_can_be_larger_than_a_document(pack: Pack) -> None:
    path = pack({f"{number}.bin": bytes([number]) * (3 << 20) for number in range(5)})
    assert len(listed(path)) == 5
    with pytest.raises(DocumentRejected):
        zip_guard.survey(path, "archive", zip_guard.Bounds(member=1 << 20, total=1 << 30))


def test_too_many_entries_are_refused(pack: Pack) -> None:
    assert reason(pack({f"{number}.txt": b"" for number in range(10_001)})) is Rejection.ARCHIVE_UNSAFE


def test_encrypted_archive_is_reported(pack: Pack) -> None:
    path = pack({"a.txt": b"x"})
    data = bytearray(path.read_bytes())
    data[data.rfind(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    assert reason(path) is Rejection.PASSWORD_PROTECTED


def spoilt(path: Path, at: int, *, flag: int = 0) -> Path:
    """Change one byte of the file, or a flag in its directory."""
    data = bytearray(path.read_bytes())
    data[at] = data[at] | flag if flag else data[at] ^ 0xFF
    path.write_bytes(data)
    return path


def directory_of(path: Path, name: bytes) -> int:
    """Return the offset of the file's entry in the archive's directory."""
    return path.read_bytes().rfind(name) - 46


def test_encrypted_file_is_rejected_individually(pack: Pack) -> None:
    path = pack({"open.txt": b"open", "secret.txt": b"secret", "last.txt": b"last"})
    spoilt(path, directory_of(path, b"secret.txt") + 8, flag=1)
    assert listed(path)[:2] == ["open.txt (4 bytes)", "secret.txt (protected by a password)"]
    with pytest.raises(DocumentRejected) as caught:
        embedded_files.read(path, "a.zip", 1, LIMITS)
    assert caught.value.reason is Rejection.PASSWORD_PROTECTED
    assert [embedded_files.read(path, "a.zip", place, LIMITS) for place in (0, 2)] == [b"open", b"last"]


def test_damaged_file_is_rejected_individually(pack: Pack) -> None:
    path = pack({"good.txt": b"good", "bad.txt": b"text" * 1000})
    spoilt(path, path.read_bytes().find(b"bad.txt") + 12)
    assert listed(path) == ["good.txt (4 bytes)", "bad.txt (damaged)"]
    with pytest.raises(DocumentRejected) as caught:
        embedded_files.read(path, "a.zip", 1, LIMITS)
    assert caught.value.reason is Rejection.DAMAGED_FILE
    assert embedded_files.read(path, "a.zip", 0, LIMITS) == b"good"


@pytest.mark.parametrize("cut", [0.3, 0.5, 0.9])
def test_truncated_archive_is_damaged(pack: Pack, cut: float) -> None:
    path = pack({f"{number}.txt": b"text" * 100 for number in range(20)})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * cut)])
    assert reason(path) is Rejection.DAMAGED_FILE


def test_damaged_member_is_found_before_extraction(pack: Pack) -> None:
    path = pack({"a.txt": b"text" * 1000})
    data = bytearray(path.read_bytes())
    data[45] ^= 0xFF
    path.write_bytes(data)
    assert reason(path) is Rejection.DAMAGED_FILE


def test_too_large_member_is_rejected_individually(pack: Pack) -> None:
    path = pack({"large.txt": b"x" * 101, "small.txt": b"x" * 100})
    with pytest.raises(DocumentRejected) as caught:
        embedded_files.read(path, "a.zip", 0, Limits(part_bytes=100))
    assert caught.value.reason is Rejection.TOO_LARGE
    assert len(embedded_files.read(path, "a.zip", 1, Limits(part_bytes=100))) == 100


def test_invalid_member_index_is_rejected(pack: Pack) -> None:
    with pytest.raises(DocumentRejected):
        embedded_files.read(pack({"a.txt": b"x"}), "a.zip", 1, LIMITS)


def test_reading_a_member_inflates_no_other(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack({f"{number}.txt": b"x" * 1000 for number in range(50)})
    opened: list[str] = []
    real = zipfile.ZipFile.open

    def count(self: zipfile.ZipFile, entry: zipfile.ZipInfo, *arguments: object) -> object:
        opened.append(entry.filename)
        return real(self, entry, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(zipfile.ZipFile, "open", count)
    embedded_files.read(path, "a.zip", 49, LIMITS)
    assert opened == ["49.txt"]


def test_nested_archive_is_an_ordinary_file(pack: Pack) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as opened:
        opened.writestr("deep.txt", "x")
    path = pack({"inner.zip": inner.getvalue()})
    assert embedded_files.names(path, formats.ZIP, LIMITS) == ["inner.zip"]
    assert embedded_files.read(path, "a.zip", 0, LIMITS) == inner.getvalue()
