"""LibreOffice and Tesseract, misused by a document or by a parser that a document has taken over."""

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ingestion.parse.sandbox import landlock, programs
from ingestion.parse.sandbox.pool import Limits, ParserPool, _ChildPool, _Request
from tests.ingestion.parse import paper
from tests.ingestion.parse.probe_programs import DOCUMENT, FOLDER, STARTS
from tests.threaded_server import SilentRequests
from tests.web.security.attacks.recorder import Attack

pytestmark = pytest.mark.timeout(300)
SECRET, OWN = "password", "committee"
LINKING = """<?xml version="1.0"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
  xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
  xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"
  xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0"
  xmlns:xlink="http://www.w3.org/1999/xlink"
  office:version="1.2" office:mimetype="application/vnd.oasis.opendocument.text">
  <office:body><office:text>
    <text:p>The committee meets on Monday.</text:p>
    <text:p><draw:frame text:anchor-type="as-char" svg:width="3cm" svg:height="3cm">
      <draw:image xlink:href="{picture}" xlink:type="simple" xlink:show="embed"/>
    </draw:frame></text:p>
  </office:text></office:body>
</office:document>"""
LINKING_PAGE = """<html><head><link rel="stylesheet" href="{url}"></head>
<body><p>The committee meets on Monday.</p><img src="{url}" width="50" height="50"></body></html>"""


@pytest.fixture(scope="module", autouse=True)
def kernel() -> None:
    if not landlock.version():
        pytest.skip("this kernel has no Landlock")


@pytest.fixture(scope="module")
def requests() -> Iterator[tuple[str, list[str]]]:
    """The URL of a picture on a server of this machine, and the paths that the server was asked for."""
    asked: list[str] = []

    class Handler(SilentRequests, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/pixel.png", asked
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a secret as an image and as a document, which parsers may not read."""
    folder = tmp_path_factory.mktemp("p")
    (folder / "secret.png").write_bytes(paper.saved(paper.page(["The password is swordfish."])))
    (folder / "secret.html").write_text("<p>The password is swordfish.</p>")
    (folder / "list.txt").write_text(f"{folder}/secret.png\n")
    (folder / "own.png").write_bytes(paper.saved(paper.page()))
    (folder / "own.html").write_text("<p>The committee meets on Monday.</p>")
    return folder


@pytest.fixture(scope="module")
def lane(folder: Path) -> Iterator[_ChildPool]:
    lane = _ChildPool("tests.ingestion.parse.probe_programs", 1, folder / "scratch")
    yield lane
    lane.close()


def run_confined(lane: _ChildPool, document: Path, program: str, *arguments: str) -> str:
    """The output of the program in the sandbox of a parser that reads `document`."""
    request = _Request(document, {"program": program, "arguments": list(arguments)}, Limits())
    return lane.ask(request).body.decode(errors="replace")


def run_freely(folder: Path, document: Path, program: str, *arguments: str) -> str:
    """The same without a sandbox."""
    given = [argument.replace(DOCUMENT, str(document)).replace(FOLDER, str(folder)) for argument in arguments]
    command = [str(programs.find(program)), *given]
    for _ in range(STARTS.get(program, 1)):
        done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    return "\n".join([done.stdout.decode(), *(file.read_text() for file in folder.glob("*.txt"))])


def convert(document: str, *, into: str = FOLDER, ending: str = "txt:Text") -> list[str]:
    profile = f"-env:UserInstallation=file://{FOLDER}/profile"
    options = ("-env:OSL_SOCKET_PATH=.", "--headless", "--norestore")
    return [profile, *options, "--convert-to", ending, "--outdir", into, document]


@pytest.mark.slow
def test_tesseract_reads_only_the_document(lane: _ChildPool, folder: Path, attack: Attack) -> None:
    paper.needs(programs.TESSERACT)
    attack.allowed(OWN in run_confined(lane, folder / "own.png", programs.TESSERACT, DOCUMENT, "stdout"))
    tries = {folder / "own.png": f"{folder}/secret.png", folder / "list.txt": DOCUMENT}
    for document, picture in tries.items():
        arguments = (programs.TESSERACT, picture, "stdout")
        attack.allowed(SECRET in run_freely(folder, document, *arguments), "not possible outside either")
        attack.refused(SECRET not in run_confined(lane, document, *arguments), picture)


def test_tesseract_cannot_write_outside(
    lane: _ChildPool, folder: Path, tmp_path: Path, attack: Attack
) -> None:
    paper.needs(programs.TESSERACT)
    arguments = (programs.TESSERACT, DOCUMENT, f"{tmp_path}/written")
    run_confined(lane, folder / "own.png", *arguments)
    attack.refused(not list(tmp_path.iterdir()))
    run_freely(folder, folder / "own.png", *arguments)
    attack.allowed([file.name for file in tmp_path.iterdir()] == ["written.txt"])


@pytest.mark.slow
def test_libreoffice_reads_only_the_document(
    lane: _ChildPool, folder: Path, tmp_path: Path, attack: Attack
) -> None:
    paper.needs(programs.SOFFICE)
    own, secret = folder / "own.html", convert(f"{folder}/secret.html")
    found = run_confined(lane, own, programs.SOFFICE, *convert(DOCUMENT))
    attack.allowed(OWN in found, found)
    attack.allowed(SECRET in run_freely(tmp_path, own, programs.SOFFICE, *secret))
    attack.refused(SECRET not in run_confined(lane, own, programs.SOFFICE, *secret))


@pytest.mark.slow
def test_libreoffice_cannot_write_outside(
    lane: _ChildPool, folder: Path, tmp_path: Path, attack: Attack
) -> None:
    paper.needs(programs.SOFFICE)
    own, out = folder / "own.html", tmp_path / "out"
    arguments = convert(DOCUMENT, into=str(out))
    run_confined(lane, own, programs.SOFFICE, *arguments)
    attack.refused(not out.exists())
    run_freely(tmp_path, own, programs.SOFFICE, *arguments)
    attack.allowed([file.name for file in out.iterdir()] == ["own.txt"])


@pytest.mark.slow
def test_document_cannot_make_libreoffice_connect(
    lane: _ChildPool, requests: tuple[str, list[str]], tmp_path: Path, attack: Attack
) -> None:
    """Where it can reach a network, LibreOffice fetches style sheets that a page links to. Versions before
    26.8 also fetch pictures that a document links to."""
    paper.needs(programs.SOFFICE)
    url, asked = requests
    linking = tmp_path / "linking.html", tmp_path / "linking.fodt"
    linking[0].write_text(LINKING_PAGE.format(url=url))
    linking[1].write_text(LINKING.format(picture=url))
    for document in linking:
        run_freely(tmp_path, document, programs.SOFFICE, *convert(DOCUMENT, ending="doc"))
    attack.allowed(bool(asked), "LibreOffice fetches nothing by itself")
    asked.clear()
    for document in linking:
        found = run_confined(lane, document, programs.SOFFICE, *convert(DOCUMENT))
        attack.allowed(OWN in found, found)
    attack.refused(not asked, asked)
    pool = ParserPool(size=1, folder=tmp_path / "scratch")
    try:
        parsed = pool.parse(tmp_path / "linking.doc", "linking.doc", limits=Limits())
    finally:
        pool.close()
    attack.allowed(any(OWN in element.text for element in parsed.rendition.elements))
    attack.refused(not asked, asked)
