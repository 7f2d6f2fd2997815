from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cairn.errors import DocumentRejected, Rejection
from cairn.library.rendition import Rendition
from ingestion.parse.sandbox import programs
from ingestion.parse.sandbox.pool import Limits, ParserPool
from tests.environment import GIVEN
from tests.ingestion.parse import paper

ROOT = Path(__file__).resolve().parents[3]
Read = Callable[..., Rendition]
Refuse = Callable[..., DocumentRejected]


@pytest.fixture(scope="session")
def pool() -> Iterator[ParserPool]:
    pool = ParserPool(size=1)
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def _bare_children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ParserPool]:
    pool = ParserPool(size=1, folder=tmp_path_factory.mktemp("bare"))
    yield pool
    pool.close()


@pytest.fixture
def bare_pool(monkeypatch: pytest.MonkeyPatch, _bare_children: ParserPool) -> ParserPool:
    """A pool without any of the optional programs, which children look for when they start."""
    monkeypatch.setattr(programs, "find_programs", dict)
    return _bare_children


@pytest.fixture
def tesseract() -> None:
    paper.needs(programs.TESSERACT)


@pytest.fixture(scope="session")
def sample_data() -> Path:
    folder = Path(GIVEN["SAMPLE_DATA"] or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no sample data at {folder}; set SAMPLE_DATA")
    return folder


@pytest.fixture
def read(pool: ParserPool, tmp_path: Path) -> Read:
    """Return what the parser process reads from a file."""

    def _read(content: str | bytes, filename: str, **limits: int) -> Rendition:
        path = tmp_path / "upload"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return pool.parse(path, filename, limits=Limits(**limits)).rendition

    return _read


@pytest.fixture
def refuse(read: Read) -> Refuse:
    """The refusal that a file must meet."""

    def _refuse(content: str | bytes, filename: str, reason: Rejection, **limits: int) -> DocumentRejected:
        with pytest.raises(DocumentRejected) as caught:
            read(content, filename, **limits)
        assert caught.value.reason is reason
        return caught.value

    return _refuse
