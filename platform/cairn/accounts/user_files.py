"""CSV files with users: how they are read."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cairn.errors import InvalidInput
from cairn.messages import CodedMessage

MAX_MB: Final = 3
MAX_ROWS: Final = 10_000
COLUMNS: Final[Mapping[str, str]] = {
    "username": "username",
    "user name": "username",
    "benutzername": "username",
    "display_name": "display_name",
    "display name": "display_name",
    "anzeigename": "display_name",
    "email": "email",
    "e-mail": "email",
    "email address": "email",
    "e-mail-adresse": "email",
    "groups": "groups",
    "gruppen": "groups",
}
"""Columns by their titles, in lower case."""
_FORMULA_STARTS: Final = ("=", "+", "-", "@")


@dataclass(frozen=True, slots=True)
class UserLine:
    """A line of the file. `problem`: why it can't be used, whatever users there are."""

    number: int
    username: str = ""
    display_name: str = ""
    email: str = ""
    groups: str = ""
    problem: str = ""


def read_user_file(content: bytes) -> list[UserLine]:
    """Read a file with semicolons or commas, and the titles of the columns in its first line.

    Raises InvalidInput for a file that can't be read as a whole.
    """
    if len(content) > MAX_MB << 20:
        raise InvalidInput(CodedMessage("import_too_large", limit=MAX_MB))
    text = _decode(content)
    first_line = text.partition("\n")[0]
    delimiter = ";" if first_line.count(";") > first_line.count(",") else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        titles = _read_titles(next(rows, []))
        lines = list(_read_lines(rows, titles))
    except csv.Error as error:
        message = CodedMessage("import_unreadable", line=rows.line_num, reason=str(error))
        raise InvalidInput(message) from error
    return lines


def _decode(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InvalidInput(CodedMessage("import_not_utf8", line=line)) from error
    if "\0" in text:
        line = text.partition("\0")[0].count("\n") + 1
        raise InvalidInput(CodedMessage("import_not_utf8", line=line))
    return text


def _read_titles(cells: Sequence[str]) -> list[str]:
    titles = []
    for cell in cells:
        title = COLUMNS.get(cell.strip().casefold())
        if title is None or title in titles:
            raise InvalidInput(CodedMessage("import_unknown_column", name=cell.strip()[:100]))
        titles.append(title)
    if "username" not in titles:
        raise InvalidInput(CodedMessage("import_no_username"))
    return titles


def _read_lines(rows: Iterator[list[str]], titles: Sequence[str]) -> Iterator[UserLine]:
    count = 0
    for cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        count += 1
        if count > MAX_ROWS:
            raise InvalidInput(CodedMessage("import_too_many", limit=MAX_ROWS))
        yield _read_line(rows.line_num, cells, titles)  # type: ignore[attr-defined]  # of csv.reader


def _read_line(number: int, cells: Sequence[str], titles: Sequence[str]) -> UserLine:
    values = {title: cell.strip() for title, cell in zip(titles, cells, strict=False)}
    problem = ""
    if len(cells) > len(titles):
        problem = CodedMessage("import_more_cells")
    elif formula := next((each for each in values.values() if each.startswith(_FORMULA_STARTS)), ""):
        problem = CodedMessage("import_formula", text=formula[:60])
    elif not values.get("username"):
        problem = CodedMessage("import_nameless")
    return UserLine(number, **values, problem=problem)
