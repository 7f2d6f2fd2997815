"""`backup --verify` reads what it has written, and what the health page learns from it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cairn.audit.models import Event
from cairn.errors import InvalidInput
from web.backup import create
from web.backup.manifest import MANIFEST
from web.processes.progress_report import SilentReporter


@pytest.fixture(autouse=True)
def no_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the manifest is written: copying has its own tests, with whole installs."""
    monkeypatch.setattr(create, "_consistent", lambda _folder, _report: create._Look([], None, 3))


def make(target: Path, **options: bool) -> None:
    create.backup(target, gold=None, reporter=SilentReporter(), **options)


@pytest.mark.parametrize("is_verified", [True, False])
def test_backup_records_its_size_and_whether_it_was_verified(
    db: None, tmp_path: Path, is_verified: bool
) -> None:
    make(tmp_path / "monday", is_verified=is_verified)
    detail = Event.objects.get(action="backup.made").detail
    assert detail["verified"] is is_verified
    assert detail["bytes"] == sum(path.stat().st_size for path in (tmp_path / "monday").iterdir())


def test_corrupted_backup_is_discarded(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(create, "seal", _seal_on_a_bad_disk(create.seal))
    with pytest.raises(InvalidInput, match=f"{MANIFEST}.*has changed"):
        make(tmp_path / "monday", is_verified=True)
    assert not (tmp_path / "monday").exists()
    make(tmp_path / "tuesday")
    assert not Event.objects.filter(detail__verified=True).exists()


def _seal_on_a_bad_disk(seal: Callable[..., Any]) -> Callable[..., None]:
    def run(folder: Path, *rest: Any) -> None:
        seal(folder, *rest)
        with (folder / MANIFEST).open("ab") as stream:
            stream.write(b" ")

    return run
