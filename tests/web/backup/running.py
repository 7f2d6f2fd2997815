"""Commands on an install, and what they left."""

from pathlib import Path

from tests.installs import ChunkSet, Install
from tests.servers import Completed, run_manage


def manage(install: Install, *arguments: str, **settings: str) -> Completed:
    return run_manage(install.data_dir, *arguments, **install.settings, **settings)


def ok(done: Completed, code: int = 0) -> Completed:
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


def left_on(shelf: Path) -> set[str]:
    return {path.name for path in shelf.iterdir()}


def assert_as_before(install: Install, chunks: ChunkSet) -> None:
    assert install.chunk_set() == chunks
    install.assert_nothing_left_over()
    ok(manage(install, "audit", "verify"))
