"""Erasures on a server: how long until nothing is left, and kill -9 while the index is rewritten."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion.failpoints import Fault
from tests.cairn.inference.server import FakeServer
from tests.installs import Install, ended, until
from tests.kill_points import REWRITING, kills
from tests.models import model_settings

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

DOCUMENTS = 6
WITHIN = 60.0  # seconds from the request to nothing left on disk


@pytest.fixture(scope="module")
def install(models: FakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    made = Install(tmp_path_factory.mktemp("erased") / "data", **model_settings(models))
    with ended(made) as install:
        install.start()
        install.bring("rules", DOCUMENTS)
        install.wait_settled()
        yield install


def _holding(folder: Path, word: str) -> set[str]:
    """Return files of the data folder that contain the word. A log may vanish in the meantime."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {path.name for path in files if path.exists() and word.encode() in path.read_bytes()}


def _canary(install: Install) -> tuple[str, str]:
    """Upload a document with a unique word, also in its name; return both."""
    word = f"zorv{secrets.token_hex(6)}"
    install.upload_all({f"vault/{word}.md": f"# About {word}\n\nThe {word} sleeps in the vault."})
    install.wait_settled()
    assert _holding(install.data_dir, word)
    return word, str(install.document(f"vault/{word}.md")["id"])


def _erased(install: Install, word: str, receipt: str) -> None:
    until(
        lambda: install.ask("GET", f"/receipts/{receipt}").json()["state"] == "done",
        what=f"for {install.ask('GET', f'/receipts/{receipt}').json()}",
    )
    assert _holding(install.data_dir, word) == set()


def test_erasure_removes_everything_from_disk_within_a_minute(install: Install) -> None:
    word, document = _canary(install)
    began = time.monotonic()
    receipt = install.ask("DELETE", f"/documents/{document}").json()["receipt"]
    assert receipt["state"] == "pending"
    _erased(install, word, receipt["id"])
    assert time.monotonic() - began < WITHIN


@pytest.mark.parametrize("fault", kills(REWRITING))
def test_next_start_finishes_the_rewrite_after_a_kill(install: Install, fault: Fault) -> None:
    install.stop()
    install.start(CAIRN_FAULT=fault)
    word, document = _canary(install)
    receipt = install.ask("DELETE", f"/documents/{document}").json()["receipt"]["id"]
    install.wait_killed()
    install.start()
    _erased(install, word, receipt)
    assert len(list((install.data_dir / "index").iterdir())) == 1
    install.wait_settled()
    install.stop()
    install.assert_nothing_left_over()
