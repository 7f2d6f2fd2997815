"""Write access to stored backups is not enough to have manipulated data restored."""

import os
import shutil
import unicodedata
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from cairn.errors import InvalidInput
from tests.web.backup import manifests
from tests.web.security.attacks.recorder import Attack
from web.backup.key import BackupKey
from web.backup.manifest import (
    AUDIT_HEAD,
    FILES,
    IDS,
    KEY_FILE,
    MANIFEST,
    NUMBERS,
    SIGNATURE,
    SQLITE,
    SUMS,
    seal,
    verify,
)

manifest = partial(manifests.manifest, files=2, vectors=1, secret_key=True)
KEY = BackupKey("the key of this install, which is in no backup")
THEIRS = BackupKey("a key that the attacker made up themselves")
FIRST, SECOND = f"{FILES}/originals/ab/first", f"{FILES}/renditions/ab/second.json.gz"
HOLDS = {
    SQLITE: b"tables",
    IDS: b"1" * 16,
    NUMBERS: b"\0" * 8,
    AUDIT_HEAD: b"{}",
    KEY_FILE: b"secret",
    FIRST: b"the minutes",
    SECOND: b"the words",
}


def made(folder: Path, **changes: object) -> Path:
    for name, content in HOLDS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    seal(folder, manifest(**changes), KEY)
    return folder


def listed_anew(folder: Path) -> None:
    """The list of files as it would be if the attacker's changes were in the backup from the start."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    lines = [
        f"{sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in names
        if name not in (SUMS, SIGNATURE)
    ]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def _change(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(b"evil" + HOLDS.get(name, b""))

    return change


def _change_and_list(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        _change(name)(folder)
        listed_anew(folder)

    return change


def _add(name: str) -> Callable[[Path], None]:
    def add(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"evil")

    return add


def _truncate(folder: Path) -> None:
    (folder / FIRST).write_bytes(HOLDS[FIRST][:-1])


def _remove(folder: Path) -> None:
    (folder / FIRST).unlink()


def _exchange(folder: Path) -> None:
    (folder / FIRST).write_bytes(HOLDS[SECOND])
    (folder / SECOND).write_bytes(HOLDS[FIRST])


def _link_to_a_file(folder: Path) -> None:
    """The same content as long as it is looked at."""
    (folder / FIRST).rename(folder.parent / "elsewhere")
    (folder / FIRST).symlink_to(folder.parent / "elsewhere")


def _link_to_a_folder(folder: Path) -> None:
    (folder / FILES).rename(folder.parent / "elsewhere")
    (folder / FILES).symlink_to(folder.parent / "elsewhere")


def _link_the_list(folder: Path) -> None:
    (folder / SUMS).rename(folder.parent / "elsewhere")
    (folder / SUMS).symlink_to(folder.parent / "elsewhere")


def _hard_link(folder: Path) -> None:
    """Create a hard link to a file of the attacker, who changes it later."""
    other = folder.parent / "elsewhere"
    other.write_bytes(HOLDS[FIRST])
    (folder / FIRST).unlink()
    os.link(other, folder / FIRST)
    other.write_bytes(b"changed by another name")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / FILES / "originals" / "pipe")


def _other_case(folder: Path) -> None:
    shutil.copy(folder / FIRST, (folder / FIRST).with_name("FIRST"))


def _other_form(folder: Path) -> None:
    """Rename a file to a name that looks the same, and is the same for some file systems, but has other
    bytes."""
    name = unicodedata.normalize("NFD", "café")
    (folder / FIRST).with_name(name).write_bytes(b"evil")


def _line_break(folder: Path) -> None:
    """A name that reads as a line of the list."""
    name = f"x\n{sha256(b'evil').hexdigest()}  y"
    (folder / FIRST).with_name(name).write_bytes(b"evil")


def _path_upwards(folder: Path) -> None:
    (folder.parent / "outside").write_bytes(b"evil")
    with (folder / SUMS).open("a", encoding="utf-8") as lines:
        lines.write(f"{sha256(b'evil').hexdigest()}  ../outside\n")


def _other_manifest(folder: Path) -> None:
    text = manifest(secret_key=False).model_dump_json(indent=2)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    listed_anew(folder)


def _sign(key: BackupKey, *, key_id: str = "") -> Callable[[Path], None]:
    """The attacker changes what they like, and signs it."""

    def sign(folder: Path) -> None:
        _change_and_list(SQLITE)(folder)
        (folder / SIGNATURE).write_text(f"{key_id or key.id} {key.sign((folder / SUMS).read_bytes())}\n")

    return sign


def _unsign(folder: Path) -> None:
    _change_and_list(SQLITE)(folder)
    (folder / SIGNATURE).unlink()


def _blank_signature(folder: Path) -> None:
    _change_and_list(SQLITE)(folder)
    (folder / SIGNATURE).write_text(f"{KEY.id} \n")


def _binary_signature(folder: Path) -> None:
    _change_and_list(SQLITE)(folder)
    (folder / SIGNATURE).write_bytes(b"\xff\xfe")


def _signature_of_another(folder: Path) -> None:
    """Use the signature of a genuine backup of the same install."""
    other = made(folder.parent / "other", documents=2)
    _change_and_list(SQLITE)(folder)
    shutil.copy(other / SIGNATURE, folder / SIGNATURE)


def _old_format(folder: Path) -> None:
    """Imitate a version that signed nothing."""
    (folder / MANIFEST).write_text(manifest(format=1).model_dump_json(indent=2), encoding="utf-8")
    _unsign(folder)


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return made(tmp_path / "backup")


def refused(folder: Path) -> bool:
    try:
        verify(folder, key=KEY)
    except InvalidInput:
        return True
    return False


@pytest.mark.parametrize(
    "tamper",
    [
        *(pytest.param(_change(name), id=f"change {name}") for name in HOLDS),
        *(pytest.param(_change_and_list(name), id=f"change {name} and its checksum") for name in HOLDS),
        *(
            pytest.param(_add(name), id=f"add {name}")
            for name in (
                "gold.json",
                "manage.py",
                ".hidden",
                f"{FILES}/originals/ab/third",
                f"{FILES}/originals/ab/{SUMS}",
                f"{FILES}/{SUMS}",
                f"{FILES}/{SIGNATURE}",
                f"{FILES}/elsewhere/x",
                f"deep/er/{MANIFEST}",
            )
        ),
        *(
            pytest.param(harm, id=harm.__name__.strip("_").replace("_", " "))
            for harm in (
                _truncate,
                _remove,
                _exchange,
                _link_to_a_file,
                _link_to_a_folder,
                _link_the_list,
                _hard_link,
                _pipe,
                _other_case,
                _other_form,
                _line_break,
                _path_upwards,
                _other_manifest,
                _unsign,
                _blank_signature,
                _binary_signature,
                _signature_of_another,
                _old_format,
            )
        ),
        pytest.param(_sign(THEIRS), id="sign with their own key"),
        pytest.param(_sign(THEIRS, key_id=KEY.id), id="sign with their own key under our id"),
    ],
)
def test_manipulated_backup_is_rejected(backup: Path, tamper: Callable[[Path], None], attack: Attack) -> None:
    attack.allowed(verify(backup, key=KEY).authentic)
    tamper(backup)
    attack.refused(refused(backup))


@pytest.mark.parametrize("name", [SQLITE, KEY_FILE, AUDIT_HEAD, FIRST])
def test_backup_file_changed_after_verification_is_not_used(
    backup: Path, name: str, tmp_path: Path, attack: Attack
) -> None:
    whole = verify(backup, key=KEY)
    whole.copy(name, tmp_path / "copy")
    with whole.open_copy(name) as stream:
        attack.allowed(stream.read() == (tmp_path / "copy").read_bytes() == HOLDS[name])
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    _change(name)(backup)
    with pytest.raises(InvalidInput):
        whole.copy(name, tmp_path / "copy")
    with pytest.raises(InvalidInput), whole.open_copy(name):
        attack.refused(False, name)
    attack.refused(True)


@pytest.mark.parametrize(
    "name",
    [f"{FILES}/../x", f"{FILES}/originals/../../x", f"{FILES}/originals/a\\b", f"{FILES}/x", "x", "../x"],
)
def test_signed_backup_list_cannot_name_files_elsewhere(backup: Path, name: str, attack: Attack) -> None:
    attack.allowed(verify(backup, key=KEY).authentic)
    with (backup / SUMS).open("a", encoding="utf-8") as lines:
        lines.write(f"{sha256(b'x').hexdigest()}  {name}\n")
    (backup / SIGNATURE).write_text(f"{KEY.id} {KEY.sign((backup / SUMS).read_bytes())}\n")
    target = backup / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"x")
    attack.refused(refused(backup))


def test_unauthenticated_flag_does_not_excuse_a_wrong_signature(backup: Path, attack: Attack) -> None:
    """The flag is for backups without a signature of this install."""
    attack.allowed(not verify(backup, key=THEIRS, allow_unauthenticated=True).authentic)
    _sign(THEIRS, key_id=KEY.id)(backup)
    with pytest.raises(InvalidInput):
        verify(backup, key=KEY, allow_unauthenticated=True)
    attack.refused(True)
