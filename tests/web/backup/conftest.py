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
def finished_install(tmp_path_factory: pytest.TempPathFactory, models: FakeServer) -> Install:
    """Is not run any more. Tests take copies."""
    made = Install(tmp_path_factory.mktemp("whole") / "data", **model_settings(models))
    made.data_dir.mkdir()
    with ended(made) as install:
        install.start().bring("rules", 4)
        install.wait_settled()
        install.stop()
    return made


@pytest.fixture(scope="package")
def backup(finished_install: Install, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made first, so that copies of the install have the key that it is signed with."""
    target = tmp_path_factory.mktemp("backups") / "monday"
    ok(manage(finished_install, "backup", str(target)))
    return target


@pytest.fixture
def install(finished_install: Install, backup: Path, tmp_path: Path) -> Install:
    return finished_install.copied(tmp_path / "data")


@pytest.fixture
def new_machine(finished_install: Install, backup: Path, tmp_path: Path) -> Install:
    """Another machine, to which the operator brought the key of the backups."""
    (tmp_path / "empty").mkdir()
    shutil.copy(finished_install.data_dir / "backup_key", tmp_path / "empty")
    return Install(tmp_path / "empty", **finished_install.settings)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    return tmp_path / "shelf"
