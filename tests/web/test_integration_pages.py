"""What docs/integrate tells people to type does what it says, word for word, on a running install."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.servers import ROOT, Server, server_environment

pytestmark = [pytest.mark.models, pytest.mark.slow]

PAGES = ROOT / "docs" / "integrate"
ADDRESS = "http://127.0.0.1:8000"


def blocks(page: str) -> list[str]:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    return [token.content for token in MarkdownIt().parse(text) if token.type == "code_block"]


def typed(server: Server, block: str) -> str:
    return block.replace(ADDRESS, server.url).replace(".venv/bin/python", sys.executable)


def run(server: Server, *command: str) -> str:
    said = subprocess.run(
        command,
        env=server_environment(server.data_dir) | {"PATH": "/usr/bin:/bin"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    return said.stdout


def said_by_hand(server: Server, page: str) -> tuple[str, str]:
    """What the last command in a shell says, and the key that the page makes."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not there: apt-get install curl")
    (block,) = (block for block in blocks(page) if block.startswith("KEY="))
    *said, key = run(server, "bash", "-euc", f"{typed(server, block)}\nprintf '\\n%s' \"$KEY\"").split("\n")
    return "\n".join(said), key


def programs(page: str) -> list[str]:
    return [block for block in blocks(page) if block.startswith(("import ", "from "))]


def run_program(server: Server, program: str, key: str) -> str:
    return run(server, sys.executable, "-c", f"KEY = {key!r}\n{typed(server, program)}")


def test_every_page_is_tried() -> None:
    tried = {"dify", "llama-index", "mcp", "openai", "retrievers"}
    assert {path.stem for path in PAGES.glob("*.md")} == tried
    assert [len(programs(page)) for page in sorted(tried)] == [0, 2, 1, 2, 2]


def test_dify_s_request(cairn_server: Server) -> None:
    said, _key = said_by_hand(cairn_server, "dify")
    records = json.loads(said)["records"]
    assert 1 <= len(records) <= 3
    assert all(each["content"] and each["metadata"]["path"] for each in records)
    (command,) = (block for block in blocks("dify") if block.startswith(".venv"))
    assert run(cairn_server, "bash", "-euc", typed(cairn_server, command)).strip()


def test_the_pages_of_assistants(cairn_server: Server) -> None:
    said, key = said_by_hand(cairn_server, "mcp")
    assert json.loads(said)["result"]["isError"] is False
    (program,) = programs("mcp")
    assert "[1]" in run_program(cairn_server, program, key)
    (started,) = (json.loads(block) for block in blocks("mcp") if block.startswith("{"))
    program, command, option, _file = started["mcpServers"]["cairn"]["args"]
    assert option in run(cairn_server, sys.executable, Path(program).name, command, "--help")


def test_the_page_of_programs_made_for_openai(cairn_server: Server) -> None:
    said, key = said_by_hand(cairn_server, "openai")
    assert json.loads(said)["citations"]
    client, like = programs("openai")
    assert "/library/documents/" in run_program(cairn_server, client, key)
    assert "[1]" in run_program(
        cairn_server, f'{like}\nprint(llm.complete("How do I upload documents?"))', key
    )


def test_the_page_of_retrievers(cairn_server: Server) -> None:
    _said, key = said_by_hand(cairn_server, "retrievers")
    llama_index, langchain = programs("retrievers")
    assert "/library/documents/" in run_program(cairn_server, llama_index, key)
    tagged = run_program(cairn_server, langchain, key)
    assert tagged == "", "nothing of the sample has this tag"
    anything = langchain.replace(', filters={"tags": ["hr"]}', "")
    assert "/library/documents/" in run_program(cairn_server, anything, key)


def test_the_commands_of_the_rest_pages(cairn_server: Server) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not there: apt-get install curl")
    pages = ("rest/overview", "rest/authentication", "rest/asking", "rest/search")
    commands = [typed(cairn_server, block) for page in pages for block in blocks(page)]
    responses = run(cairn_server, "bash", "-euo", "pipefail", "-c", "\n".join(commands))
    assert responses.count('"verdict"') >= 2
    assert "urn:cairn:problem" not in responses
