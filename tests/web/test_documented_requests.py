"""Requests that the README and the REST pages show: each is sent, and its answer has what was asked for."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fpdf import FPDF

from tests.ingestion.sources.webdav_server import PASSWORD, WebdavServer
from tests.installs import until
from tests.servers import ROOT, Server, start_server, stop_server
from tests.web.documented import assert_answers, blocks, run, typed
from tests.web.test_end_to_end import Api
from web.data_dir.help_documents import find_pages

pytestmark = [pytest.mark.models, pytest.mark.slow, pytest.mark.timeout(900)]

REST = "docs/integrate/rest"
SEPARATOR = "=====\n"
ELSEWHERE = {
    "docs/integrate/dify.md",
    "docs/integrate/mcp.md",
    "docs/integrate/openai.md",
}
"""Their requests are sent by test_integration_pages.py."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the whole documentation, which the questions are about."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not there: apt-get install curl")
    folder = tmp_path_factory.mktemp("documented")
    (folder / "drive").mkdir()
    started = start_server(folder / "data", SWEEP_SECONDS="2", WATCH_ROOTS=str(folder / "drive"))
    api = Api(started)
    until(lambda: has_read_documentation(api), patience=600)
    api.http.close()
    yield started
    stop_server(started)


def has_read_documentation(api: Api) -> bool:
    states = [each["status"] for each in api.ok("GET", "/documents?limit=200")["items"]]
    return len(states) == len(find_pages()) and set(states) == {"ready"}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The files that the commands name, in the folder that they are typed in."""
    handbook = FPDF()
    handbook.add_page()
    handbook.set_font("Helvetica", size=12)
    handbook.multi_cell(0, 8, "Employees get 25 days of leave.")
    (tmp_path / "handbook.pdf").write_bytes(bytes(handbook.output()))
    for name in ("leave.md", "travel.md"):
        (tmp_path / name).write_text("# Rules\n\nEmployees get 25 days of leave.", encoding="utf-8")
    (tmp_path / "part-1").write_bytes(bytes(1 << 16))
    return tmp_path


def responses(server: Server, *commands: str, folder: Path = ROOT, **variables: str) -> list[Any]:
    """Return what each command prints in one shell, parsed if it is JSON."""
    script = f"\nprintf '\\n{SEPARATOR[:-1]}\\n'\n".join(typed(server, command) for command in commands)
    printed = run(server, "bash", "-euo", "pipefail", "-c", script, folder=folder, **variables)
    return [json.loads(each) if each.strip() else None for each in printed.split(SEPARATOR)]


def requests_of(page: str) -> list[str]:
    return [block for block in blocks(page) if "curl " in block]


def test_every_request_is_sent() -> None:
    pages = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")]
    showing = {page for page in ["README.md", *pages] if requests_of(page)}
    tried = {
        "README.md",
        "docs/operate/troubleshooting.md",
        *(
            f"{REST}/{page}.md"
            for page in (
                "overview",
                "authentication",
                "asking",
                "search",
                "documents",
                "imports-and-jobs",
                "sources",
            )
        ),
    }
    assert showing == tried | ELSEWHERE
    sent = {page: len(requests_of(page)) for page in sorted(tried)}
    assert list(sent.values()) == [1, 1, 1, 3, 3, 1, 2, 2, 1], sent


def test_readme_requests_return_answers(server: Server, tmp_path: Path) -> None:
    (tmp_path / "handbook").mkdir()
    notice = "# Notice\n\nEmployees have to give six weeks of notice before they leave."
    (tmp_path / "handbook" / "notice.md").write_text(notice, encoding="utf-8")
    (own,) = (block for block in blocks("README.md") if "manage.py ask" in block)
    assert "six weeks of notice" in run(server, "bash", "-euc", typed(server, own), HOME=str(tmp_path))
    [answer] = responses(server, *requests_of("README.md"))
    assert_answers(answer["answer"], answer["question"])


def test_documented_requests_about_keys_questions_and_searches_work(server: Server) -> None:
    pages = ("overview", "authentication", "asking", "search")
    commands = [request for page in pages for request in requests_of(f"{REST}/{page}.md")]
    first, me, asked, found, narrowed = responses(server, *commands)
    for answer in (first, asked):
        assert_answers(answer["answer"], answer["question"])
        assert answer["citations"]
    assert me["username"] == "admin"
    assert "leave" in found["results"][0]["text"].lower()
    assert narrowed["results"] == [], "no page of the documentation has this tag"


def test_documented_requests_about_documents_and_imports_work(server: Server, files: Path) -> None:
    api = Api(server)
    base = api.ok("POST", "/knowledge-bases", json={"name": "Typed"})["id"]
    variables = {"CAIRN_KEY": server.key(), "KB": base}
    upload, announce, send = requests_of(f"{REST}/documents.md")
    document, announced = responses(server, upload, announce, folder=files, **variables)
    assert (document["document"]["title"], document["job"]["stage"]) == ("handbook.pdf", "queued")
    [sent] = responses(server, send, folder=files, UPLOAD=announced["id"], **variables)
    assert sent["offset"] == 1 << 16
    opening, items, watch = requests_of(f"{REST}/imports-and-jobs.md")
    [opened] = responses(server, opening, folder=files, **variables)
    [taken] = responses(server, items, folder=files, IMPORT=opened["id"], **variables)
    assert (opened["label"], [each["outcome"] for each in taken]) == ("handbook", ["accepted"] * 2)
    drive = str(server.data_dir.parent / "drive")
    [watched] = responses(server, watch.replace("/srv/drive", drive), **variables)
    assert (watched["path"], watched["prune"]) == (drive, True)
    api.http.close()


def test_documented_requests_about_sources_work(server: Server, tmp_path: Path) -> None:
    (tmp_path / "leave.md").write_text("# Leave\n\nEmployees get 25 days of leave.", encoding="utf-8")
    api = Api(server)
    base = api.ok("POST", "/knowledge-bases", json={"name": "Cloud"})["slug"]
    with WebdavServer(tmp_path) as cloud:
        check, create = (
            request.replace("https://cloud.example.org/dav/handbook/", cloud.url)
            .replace("…", PASSWORD)
            .replace('"knowledge_base": "handbook"', f'"knowledge_base": "{base}"')
            for request in requests_of(f"{REST}/sources.md")
        )
        checked, created = responses(server, check, create, CAIRN_KEY=server.key())
        assert [step["problem"] for step in checked["steps"]] == [""] * len(checked["steps"]), checked
        assert (created["name"], created["readers"]) == ("Handbook", "managers")
        items = f"/sources/{created['id']}/items?state=synced"
        until(lambda: [item["name"] for item in api.ok("GET", items)["items"]] == ["leave.md"])
    api.http.close()


def test_documented_readiness_request_works(server: Server) -> None:
    (block,) = requests_of("docs/operate/troubleshooting.md")
    [ready] = responses(server, *(line for line in block.splitlines() if line.startswith("curl ")))
    assert ready["status"] == "ok"
