import os
import stat
import zipfile
from pathlib import Path

import pytest

from cairn.errors import DocumentRejected, InvalidInput
from web.cli import local_files
from web.cli.local_files import find_files


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def archive(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as target:
        for name in names:
            target.writestr(name, f"text of {name}")
    return path


def uris(*paths: Path) -> list[str]:
    return [file.source_uri for file in find_files(paths).files]


def test_folder_name_is_part_of_its_file_names(tmp_path: Path) -> None:
    tree(tmp_path / "handbook", "a.md", "leave/b.md")
    assert uris(tmp_path / "handbook") == ["handbook/a.md", "handbook/leave/b.md"]


def test_current_folder_is_named_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path / "handbook", "a.md")
    monkeypatch.chdir(tmp_path / "handbook")
    assert uris(Path()) == ["handbook/a.md"]


def test_single_file_is_named_without_its_folder(tmp_path: Path) -> None:
    tree(tmp_path, "a.md")
    assert uris(tmp_path / "a.md") == ["a.md"]


def test_hidden_files_are_counted_and_omitted(tmp_path: Path) -> None:
    tree(tmp_path / "docs", "a.md", ".git/config", "b/.DS_Store")
    found = find_files([tmp_path / "docs"])
    assert [file.source_uri for file in found.files] == ["docs/a.md"]
    assert found.hidden == 2


def test_broken_link_is_listed_as_unknown(tmp_path: Path) -> None:
    tree(tmp_path / "docs", "a.md")
    for name in ("b.md", "more.zip"):
        (tmp_path / "docs" / name).symlink_to(tmp_path / "away" / name)
    found = find_files([tmp_path / "docs"])
    assert [file.source_uri for file in found.files] == ["docs/a.md"]
    assert found.unknown == ["docs/b.md/", "docs/more/"]


def test_missing_path_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no such file"):
        find_files([tmp_path / "nothing"])


def test_folders_with_the_same_name_are_rejected(tmp_path: Path) -> None:
    tree(tmp_path, "x/docs/a.md", "y/docs/a.md")
    with pytest.raises(InvalidInput, match=r"docs/a\.md"):
        find_files([tmp_path / "x/docs", tmp_path / "y/docs"])


def test_name_in_another_encoding_is_converted(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "d") + b"/\xff.md")).write_text("x")
    (uri,) = uris(tmp_path / "d")
    assert uri.encode() == "d/�.md".encode()


def test_archive_is_read_like_a_folder(tmp_path: Path) -> None:
    found = find_files([archive(tmp_path / "handbook.zip", "a.md", "leave/b.md", "__MACOSX/x", ".hidden")])
    assert [file.source_uri for file in found.files] == ["handbook/a.md", "handbook/leave/b.md"]
    assert found.hidden == 2
    with found.files[1].open() as stream:
        assert stream.read() == b"text of leave/b.md"


def test_archive_in_a_folder_is_read(tmp_path: Path) -> None:
    tree(tmp_path / "docs", "a.md")
    archive(tmp_path / "docs" / "old.ZIP", "b.md")
    assert uris(tmp_path / "docs") == ["docs/a.md", "docs/old/b.md"]


@pytest.mark.parametrize("name", ["../a.md", "x/../../a.md", "/etc/a.md", "..\\a.md", "C:\\a.md"])
def test_names_that_point_outside(tmp_path: Path, name: str) -> None:
    found = find_files([archive(tmp_path / "x.zip", "good.md", name)])
    assert found.files == []
    ((uri, rejection),) = found.rejected
    assert (uri, rejection.code) == ("x.zip", "archive_unsafe")


def test_links_in_an_archive(tmp_path: Path) -> None:
    member = zipfile.ZipInfo("a.md")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as target:
        target.writestr(member, "/etc/passwd")
    ((_, rejection),) = find_files([tmp_path / "x.zip"]).rejected
    assert rejection.code == "archive_unsafe"


def test_damaged_archive_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 but no more")
    tree(tmp_path, "a.md")
    found = find_files([tmp_path / "x.zip", tmp_path / "a.md"])
    assert [file.source_uri for file in found.files] == ["a.md"]
    assert [rejection.code for _, rejection in found.rejected] == ["damaged_file"]


def test_damaged_archive_member_is_rejected(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.zip", "a.md")
    data = bytearray(path.read_bytes())
    data[data.index(b"text of")] ^= 0xFF
    path.write_bytes(data)
    (file,) = find_files([path]).files
    with pytest.raises(DocumentRejected, match="isn't a valid ZIP archive"), file.open():
        pass


def test_protected_archive_member_does_not_stop_the_others(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.zip", "a.md", "b.md")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the encryption flag in the directory
    path.write_bytes(data)
    found = find_files([path])
    ((uri, rejection),) = found.rejected
    assert (uri, rejection.code) == ("x/a.md", "password_protected")
    assert [file.source_uri for file in found.files] == ["x/b.md"]
    assert found.unknown == ["x/a.md/"], "not taken for vanished"


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_files, "MAX_MEMBERS", 2)
    ((_, rejection),) = find_files([archive(tmp_path / "x.zip", "a", "b", "c")]).rejected
    assert rejection.code == "archive_unsafe"


def test_archive_size_is_counted_from_extracted_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_files, "MAX_ARCHIVE_BYTES", 20)
    first, second = find_files([archive(tmp_path / "x.zip", "a.md", "b.md")]).files
    with first.open() as stream:
        assert stream.read() == b"text of a.md"
    with pytest.raises(DocumentRejected) as rejected, second.open():
        pass
    assert rejected.value.code == "archive_unsafe"
