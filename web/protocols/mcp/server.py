"""Stateless server of the Model Context Protocol."""

from importlib.metadata import version
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp_types import Tool as ToolShown
from pydantic import ValidationError

from cairn.errors import CairnError, Forbidden, InvalidInput
from web.api.framework.problems import InvalidFields, as_cairn_error
from web.api.framework.request_parser import check_text
from web.protocols.mcp.tools import TOOLS, Caller, Tool, ToolResult

CALLER = "cairn.caller"
"""Key of the caller in the scope of a request."""
INSTRUCTIONS = (
    "Cairn answers from an organisation's own documents. Ask it for what people there would look up, and "
    "give the sources with what you say. A refusal means that the documents do not say: do not make up for "
    "it."
)
Context = ServerRequestContext[Any, Any]


async def _tools_list(context: Context, _params: PaginatedRequestParams | None) -> ListToolsResult:
    principal = _caller(context).principal
    return ListToolsResult(tools=[_describe_tool(tool) for tool in TOOLS if tool.open_to(principal)])


def _describe_tool(tool: Tool) -> ToolShown:
    return ToolShown(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.takes.model_json_schema(),
        annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
    )


async def _tool_call(context: Context, params: CallToolRequestParams) -> CallToolResult:
    """Call a tool. Errors are returned as its result, so that the model can read them."""
    try:
        result = await _run(_caller(context), params)
    except Exception as error:  # noqa: BLE001 the outermost boundary of a call
        return CallToolResult(content=[_text(_wrong(as_cairn_error(error)))], is_error=True)
    return CallToolResult(content=[_text(result.text)], structured_content=result.data)


async def _run(caller: Caller, params: CallToolRequestParams) -> ToolResult:
    tool = next((tool for tool in TOOLS if tool.name == params.name), None)
    if tool is None:
        raise InvalidInput("Unknown tool.")
    if not tool.open_to(caller.principal):
        raise Forbidden(f"This requires an API key with one of these scopes: {', '.join(tool.scopes)}.")
    taken = params.arguments or {}
    check_text(taken)
    try:
        return await tool.run(caller, tool.takes.model_validate(taken))
    except ValidationError as error:
        raise InvalidFields([dict(each) for each in error.errors()]) from error


def _wrong(error: CairnError) -> str:
    if not isinstance(error, InvalidFields):
        return error.message
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors)


def _text(text: str) -> TextContent:
    return TextContent(type="text", text=text)


def _caller(context: Context) -> Caller:
    assert context.request is not None, "it came over HTTP"
    found: Caller = context.request.scope[CALLER]
    return found


SERVER: Server[Any] = Server(
    "cairn",
    title="Cairn",
    version=version("cairn"),
    instructions=INSTRUCTIONS,
    on_list_tools=_tools_list,
    on_call_tool=_tool_call,
)
