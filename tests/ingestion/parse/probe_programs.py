"""Runs in a parser process instead of the parsers, and starts LibreOffice or Tesseract with any arguments."""

from multiprocessing.connection import Connection
from typing import Any

from ingestion.parse.core.limits import Limits
from ingestion.parse.sandbox import programs
from ingestion.parse.sandbox.loop import serve

DOCUMENT = "{document}"
FOLDER = "{folder}"
MAY_WRITE = 1 << 26
STARTS = {programs.SOFFICE: 2}
"""LibreOffice ends once it has made its profile, and has to be started again."""


def _handle(limits: Limits, path: str, program: str, arguments: list[str]) -> tuple[dict[str, Any], bytes]:
    """Return the output of the program, and names and contents of the files that it left in its folder."""
    given = {DOCUMENT: path, FOLDER: str(programs.folder())}
    filled = arguments
    for name, value in given.items():
        filled = [argument.replace(name, value) for argument in filled]
    output = b""
    for _ in range(STARTS.get(program, 1)):
        try:
            output = programs.run(program, filled, limits=limits, may_write=MAY_WRITE)
        except programs.ProgramFailed as error:
            output = str(error).encode()
    left = [file for file in programs.folder().glob("*.txt") if file.is_file()]
    return {}, b"\n".join([output, *(file.read_bytes() for file in left)])


def main(connection: Connection) -> None:
    serve(connection, _handle)
