"""MCP server for an assistant on this machine, over standard input and output."""

from pathlib import Path
from typing import Any

import anyio
from django.core.management.base import CommandParser

from cairn.errors import InvalidInput
from web.cli.server_connection import client
from web.management.base import CairnCommand
from web.processes.progress_report import SilentReporter
from web.protocols.mcp.bridge import bridge


class Command(CairnCommand):
    help = "Serve Cairn's tools to an assistant over standard input and output (Model Context Protocol)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--key-file",
            metavar="FILE",
            type=Path,
            help="act as the API key in this file instead of as an administrator",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        key = _key(options["key_file"]) if options["key_file"] else None
        with client(SilentReporter(), command="manage.py mcp") as connected:
            anyio.run(bridge, f"{connected.api.url}/mcp", key or connected.api.key)


def _key(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
