"""Old Office files, which LibreOffice converts."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse.core import formats
from ingestion.parse.sandbox import programs
from ingestion.parse.sandbox.pool import Limits, ParserPool
from tests.ingestion.parse import paper
from tests.ingestion.parse.conftest import Refuse
from tests.ingestion.parse.ole import ole

OPEN_TOKEN, ENCRYPTED_TOKEN = bytes.fromhex("5fc091e3"), bytes.fromhex("dfc4d1f3")
WORD_STARTS = bytes.fromhex("eca5")
FLAGS_AT = 11

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def libreoffice() -> None:
    paper.needs(programs.SOFFICE)


@pytest.fixture
def doc(sample_data: Path) -> Path:
    return sample_data / "formats" / "fake.doc"


@pytest.fixture(scope="module")
def ppt(sample_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    paper.needs(programs.SOFFICE)
    return saved_as(
        "ppt", sample_data / "formats" / "sample-presentation.pptx", tmp_path_factory.mktemp("made")
    )


@pytest.fixture
def own_pool(tmp_path: Path) -> Iterator[ParserPool]:
    pool = ParserPool(size=1, folder=tmp_path / "scratch")
    yield pool
    pool.close()


def saved_as(ending: str, path: Path, folder: Path) -> Path:
    """The document in an older format, by LibreOffice."""
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    arguments = (profile, "--headless", "--convert-to", ending, "--outdir", str(folder), str(path))
    command = [str(programs.find(programs.SOFFICE)), *arguments]
    for _ in range(2):  # it ends after making a profile, and wants to be started again
        subprocess.run(command, check=False, capture_output=True, timeout=120)
    return folder / f"{path.stem}.{ending}"


def names_in(path: Path) -> list[str]:
    return [entry.name for entry in path.rglob("*")]


@pytest.mark.usefixtures("libreoffice")
def test_doc_file_preserves_its_table(pool: ParserPool, sample_data: Path, tmp_path: Path) -> None:
    path = saved_as("doc", sample_data / "formats" / "docx-tables.docx", tmp_path)
    parsed = pool.parse(path, "a.doc", limits=Limits())
    assert parsed.media_type == formats.DOC
    tables = [element.text for element in parsed.rendition.elements if element.category == "Table"]
    assert tables[0].startswith("Header Col 1 | Header Col 2\nLorem ipsum | A link example")


def test_ppt_file_preserves_its_slides(pool: ParserPool, ppt: Path) -> None:
    parsed = pool.parse(ppt, "a.ppt", limits=Limits())
    assert parsed.media_type == formats.PPT
    pages = [element.page for element in parsed.rendition.elements]
    assert pages == sorted(pages, key=lambda page: page or 0)
    assert set(pages) == set(range(1, (parsed.rendition.pages or 0) + 1))


@pytest.mark.usefixtures("libreoffice")
def test_conversion_leaves_no_files(own_pool: ParserPool, doc: Path, tmp_path: Path) -> None:
    assert own_pool.parse(doc, "a.doc", limits=Limits()).rendition.elements
    left = [name for name in names_in(tmp_path / "scratch") if not name.startswith("parser-")]
    assert sorted(left) == ["in", "made-by-cairn", "work"]
    own_pool.close()
    assert names_in(tmp_path / "scratch") == []


@pytest.mark.usefixtures("libreoffice")
def test_truncated_doc_is_damaged(refuse: Refuse, doc: Path) -> None:
    content = doc.read_bytes()
    refuse(content[: len(content) // 2], "a.doc", Rejection.DAMAGED_FILE)


def test_protected_doc_is_reported(refuse: Refuse, doc: Path) -> None:
    content = bytearray(doc.read_bytes())
    content[content.index(WORD_STARTS, 512) + FLAGS_AT] |= 1
    refuse(bytes(content), "a.doc", Rejection.PASSWORD_PROTECTED)


def test_protected_ppt_is_reported(refuse: Refuse, ppt: Path) -> None:
    content = ppt.read_bytes()
    assert OPEN_TOKEN in content
    refuse(content.replace(OPEN_TOKEN, ENCRYPTED_TOKEN), "a.ppt", Rejection.PASSWORD_PROTECTED)


@pytest.mark.slow
@pytest.mark.usefixtures("libreoffice")
def test_cancelling_a_file_ends_libreoffice(own_pool: ParserPool, doc: Path, tmp_path: Path) -> None:
    running: list[psutil.Process] = []

    def cancelled() -> bool:
        """Cancel the program as soon as it runs."""
        running[:] = [child for child in psutil.Process().children(recursive=True) if _is_libreoffice(child)]
        return bool(running)

    with pytest.raises(DocumentRejected) as caught:
        own_pool.parse(doc, "a.doc", limits=Limits(), cancelled=cancelled)
    assert caught.value.reason is Rejection.CANCELLED
    assert psutil.wait_procs(running, timeout=5)[1] == []
    assert names_in(tmp_path / "scratch") == []
    assert own_pool.parse(doc, "a.doc", limits=Limits()).rendition.elements


def _is_libreoffice(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.cmdline()[:1] == [str(programs.find(programs.SOFFICE))]
    return False


@pytest.mark.parametrize(
    ("ending", "streams"), [("doc", ("WordDocument",)), ("ppt", ("Current User", "PowerPoint Document"))]
)
def test_missing_libreoffice_is_named(
    bare_pool: ParserPool, tmp_path: Path, ending: str, streams: tuple[str, ...]
) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(ole(*streams))
    with pytest.raises(DocumentRejected, match="LibreOffice, which isn’t installed") as caught:
        bare_pool.parse(path, path.name, limits=Limits())
    assert caught.value.reason is Rejection.UNSUPPORTED_TYPE
