"""Bridge from standard input and output to the MCP server of a running Cairn."""

from typing import Any

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams

_TIMEOUT = httpx2.Timeout(60.0, read=300.0)  # reading: a question waits for a model
Context = ServerRequestContext[Any, Any]


async def bridge(url: str, key: str) -> None:
    """Run until standard input ends. `url`: of the server, with its path."""
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=_TIMEOUT, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http), cache=None) as there,
        stdio_server() as (incoming, outgoing),
    ):
        server = _passing_on(there)
        await server.run(incoming, outgoing, server.create_initialization_options())


def _passing_on(there: Client) -> "Server[Any]":
    async def tools_list(_context: Context, _params: PaginatedRequestParams | None) -> ListToolsResult:
        return await there.list_tools()

    async def tool_call(_context: Context, params: CallToolRequestParams) -> CallToolResult:
        return await there.call_tool(params.name, params.arguments)

    info = there.server_info
    return Server(
        info.name if info else "cairn",
        version=info.version if info else "",
        instructions=there.instructions,
        on_list_tools=tools_list,
        on_call_tool=tool_call,
    )
