from pathlib import Path

import pytest

from cairn.inference.artifacts import build_once, fingerprint


def write(draft: Path) -> None:
    (draft / "graph").write_text("made")


def test_artifact_is_built_once(tmp_path: Path) -> None:
    built: list[Path] = []

    def build(draft: Path) -> None:
        built.append(draft)
        write(draft)

    for _ in range(2):
        assert build_once(tmp_path / "models" / "one", build) == tmp_path / "models" / "one"
    assert len(built) == 1
    assert (tmp_path / "models" / "one" / "graph").read_text() == "made"


def test_failed_build_leaves_no_files(tmp_path: Path) -> None:
    def build(draft: Path) -> None:
        write(draft)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        build_once(tmp_path / "one", build)
    assert list(tmp_path.iterdir()) == []


def test_faster_of_two_builders_wins(tmp_path: Path) -> None:
    target = tmp_path / "one"

    def build(draft: Path) -> None:
        write(draft)
        target.mkdir()
        (target / "graph").write_text("made by another")

    build_once(target, build)
    assert (target / "graph").read_text() == "made by another"
    assert list(tmp_path.iterdir()) == [target]


def test_failed_rename_is_raised(tmp_path: Path) -> None:
    target = tmp_path / "one"

    def build(draft: Path) -> None:
        target.write_text("a file is in the way")

    with pytest.raises(OSError, match="one"):
        build_once(target, build)


@pytest.mark.parametrize("change", [b"X" + b"a" * 99, b"a" * 99 + b"X", b"a" * 101])
def test_fingerprint_covers_both_ends_and_the_size(tmp_path: Path, change: bytes) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"a" * 100)
    before = fingerprint([path])
    assert fingerprint([path]) == before
    path.write_bytes(change)
    assert fingerprint([path]) != before
