"""Commands and programs in docs/integrate work as documented on a running install."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.servers import ROOT, Server
from tests.web.documented import assert_answers, blocks, run, typed

pytestmark = [pytest.mark.models, pytest.mark.slow]

UPLOADING = "How do I upload documents?"

PAGES = ROOT / "docs" / "integrate"


def blocks_of(page: str) -> list[str]:
    return blocks(f"docs/integrate/{page}.md")


def said_by_hand(server: Server, page: str) -> tuple[str, str]:
    """Return the output of the last command in a shell, and the key that the page creates."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not there: apt-get install curl")
    (block,) = (block for block in blocks_of(page) if block.startswith("KEY="))
    *lines, key = run(server, "bash", "-euc", f"{typed(server, block)}\nprintf '\\n%s' \"$KEY\"").split("\n")
    return "\n".join(lines), key


def programs(page: str) -> list[str]:
    return [block for block in blocks_of(page) if block.startswith(("import ", "from "))]


def run_program(server: Server, program: str, key: str) -> str:
    return run(server, sys.executable, "-c", f"KEY = {key!r}\n{typed(server, program)}")


def test_every_page_is_tried() -> None:
    tried = {"dify", "llama-index", "mcp", "openai", "retrievers"}
    assert {path.stem for path in PAGES.glob("*.md")} == tried
    assert [len(programs(page)) for page in sorted(tried)] == [0, 2, 1, 2, 2]


def test_dify_s_request(cairn_server: Server) -> None:
    output, _key = said_by_hand(cairn_server, "dify")
    records = json.loads(output)["records"]
    assert 1 <= len(records) <= 3
    assert all(each["content"] and each["metadata"]["path"] for each in records)
    assert any("upload" in each["content"].lower() for each in records)
    (command,) = (block for block in blocks_of("dify") if block.startswith(".venv"))
    assert run(cairn_server, "bash", "-euc", typed(cairn_server, command)).strip()


def test_documented_assistant_setup_works(cairn_server: Server) -> None:
    output, key = said_by_hand(cairn_server, "mcp")
    result = json.loads(output)["result"]
    assert result["isError"] is False
    assert_answers(result["structuredContent"]["answer"], UPLOADING)
    (program,) = programs("mcp")
    answer, _, sources = run_program(cairn_server, program, key).partition("\n\nVerdict: ")
    assert_answers(answer, UPLOADING)
    assert "[1] Upload documents" in sources
    (started,) = (json.loads(block) for block in blocks_of("mcp") if block.startswith("{"))
    program, command, option, _file = started["mcpServers"]["cairn"]["args"]
    assert option in run(cairn_server, sys.executable, Path(program).name, command, "--help")


def test_documented_openai_programs_work(cairn_server: Server) -> None:
    output, key = said_by_hand(cairn_server, "openai")
    completion = json.loads(output)
    assert completion["citations"]
    assert_answers(completion["choices"][0]["message"]["content"], UPLOADING)
    client, like = programs("openai")
    answer, source = run_program(cairn_server, client, key).split("\n1 ", 1)
    assert_answers(answer, UPLOADING)
    assert "/library/documents/" in source
    assert_answers(run_program(cairn_server, f'{like}\nprint(llm.complete("{UPLOADING}"))', key), UPLOADING)


def test_documented_retriever_programs_work(cairn_server: Server) -> None:
    _said, key = said_by_hand(cairn_server, "retrievers")
    llama_index, langchain = programs("retrievers")
    assert "/library/documents/" in run_program(cairn_server, llama_index, key)
    tagged = run_program(cairn_server, langchain, key)
    assert tagged == "", "nothing of the sample has this tag"
    anything = langchain.replace(', filters={"tags": ["hr"]}', "")
    assert "/library/documents/" in run_program(cairn_server, anything, key)
