import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cairn.inference.server import FakeServer
from tests.installs import Install, ended
from tests.models import model_server, model_settings
from tests.web.backup.running import manage, ok


@pytest.fixture(scope="package")
def models() -> Iterator[FakeServer]:
    with model_server() as server:
        yield server


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory, models: FakeServer) -> Install:
    """Is not run any more. Tests take copies."""
    made = Install(tmp_path_factory.mktemp("whole") / "data", **model_settings(models))
    made.data_dir.mkdir()
    with ended(made) as install:
        install.start().bring("rules", 4)
        install.wait_settled()
        install.stop()
    return made


@pytest.fixture(scope="package")
def backup(whole: Install, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made first, so that copies of the install have the key that it is signed with."""
    target = tmp_path_factory.mktemp("backups") / "monday"
    ok(manage(whole, "backup", str(target)))
    return target


@pytest.fixture
def install(whole: Install, backup: Path, tmp_path: Path) -> Install:
    return whole.copied(tmp_path / "data")


@pytest.fixture
def empty(whole: Install, backup: Path, tmp_path: Path) -> Install:
    """Another machine, to which the operator brought the key of the backups."""
    (tmp_path / "empty").mkdir()
    shutil.copy(whole.data_dir / "backup_key", tmp_path / "empty")
    return Install(tmp_path / "empty", **whole.settings)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    return tmp_path / "shelf"
