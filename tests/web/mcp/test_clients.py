"""The protocol's own client against a running install with its real models: over HTTP, and over a pipe."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent

from tests.conftest import Server
from tests.servers import ROOT, server_environment

QUESTION = "How do I upload documents?"
pytestmark = [pytest.mark.models, pytest.mark.slow]


@asynccontextmanager
async def over_http(server: Server, key: str, **options: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=120, trust_env=False) as http,
        Client(streamable_http_client(f"{server.url}/mcp", http_client=http), **options) as client,  # type: ignore[arg-type]
    ):
        yield client


def text(result: CallToolResult) -> str:
    [part] = result.content
    assert isinstance(part, TextContent)
    return part.text


async def assert_answers(client: Client) -> None:
    tools = [tool.name for tool in (await client.list_tools()).tools]
    assert tools == ["list_knowledge_bases", "search", "ask", "read_document"]
    result = await client.call_tool("ask", {"question": QUESTION})
    assert not result.is_error
    assert "Verdict: partial." in text(result)
    assert result.structured_content
    [cited, *_] = result.structured_content["citations"]
    read = await client.call_tool("read_document", {"document": cited["document"]})
    assert cited["quote"].split()[0] in text(read)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_mcp_client_gets_answers_over_http(cairn_server: Server, mode: str) -> None:
    """In the current protocol, and in the previous one, which begins with a handshake."""
    async with over_http(cairn_server, cairn_server.key(), mode=mode) as client:
        await assert_answers(client)


async def test_mcp_client_gets_answers_over_a_pipe(cairn_server: Server, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(cairn_server.key(), encoding="ascii")
    command = StdioServerParameters(
        command=sys.executable,
        args=[str(ROOT / "manage.py"), "mcp", "--key-file", str(key)],
        env=server_environment(cairn_server.data_dir),
    )
    async with Client(command) as client:
        assert client.server_info
        assert client.server_info.name == "cairn"
        await assert_answers(client)
