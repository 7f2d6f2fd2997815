"""Renders the few constructs that the chart's templates are written with; anything else is an error.

Helm itself is not needed for the tests. Whoever writes more than this reads has to write it more simply.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

_PIPE = re.compile(r"\s*\|\s*")
Scope = dict[str, Any]


class Unreadable(AssertionError):
    pass


def rendered(text: str, values: Mapping[str, Any], release: str = "docs") -> list[dict[str, Any]]:
    """The documents of a template."""
    root = {"Values": values, "Release": {"Name": release}}
    tokens = list(_tokens(text))
    told, rest = _block(tokens, 0, {"": root, "$": root})
    if rest != len(tokens):
        raise Unreadable("an end without a beginning")
    return [document for document in yaml.safe_load_all(told) if document is not None]


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    for found in re.finditer(r"\{\{(-?)\s*(.*?)\s*\}\}", text, re.DOTALL):
        before = text[at : found.start()]
        yield "text", before.rstrip() if found[1] else before
        yield "tag", found[2]
        at = found.end()
    yield "text", text[at:]


def _block(tokens: list[tuple[str, str]], at: int, scope: Scope) -> tuple[str, int]:
    """Up to its end or else."""
    told = ""
    while at < len(tokens):
        kind, token = tokens[at]
        if kind == "text":
            told += token
        elif token in {"end", "else"}:
            return told, at
        elif token.startswith(("if ", "range ")):
            part, at = _nested(tokens, at, scope)
            told += part
        else:
            told += _value(token, scope)
        at += 1
    return told, at


def _nested(tokens: list[tuple[str, str]], at: int, scope: Scope) -> tuple[str, int]:
    token = tokens[at][1]
    if token.startswith("if "):
        first, middle = _block(tokens, at + 1, scope)
        second, end = "", middle
        if tokens[middle][1] == "else":
            second, end = _block(tokens, middle + 1, scope)
        wanted = token.removeprefix("if ")
        holds = (
            not _get(wanted.removeprefix("not "), scope) if wanted.startswith("not ") else _get(wanted, scope)
        )
        return (first if holds else second), end
    found = re.fullmatch(r"range (\$\w+), (\$\w+) := (\S+)", token)
    if found is None:
        raise Unreadable(token)
    told, end = "", at
    for key, value in sorted(_get(found[3], scope).items()):
        part, end = _block(tokens, at + 1, {**scope, found[1]: key, found[2]: value})
        told += part
    return told, end


def _value(token: str, scope: Scope) -> str:
    first, *pipes = _PIPE.split(token)
    value = (
        yaml_of(_get(first.removeprefix("toYaml "), scope))
        if first.startswith("toYaml ")
        else _get(first, scope)
    )
    for pipe in pipes:
        name, _, argument = pipe.partition(" ")
        match name:
            case "quote":
                value = json.dumps(_plain(value))
            case "nindent":
                value = "\n" + "\n".join(" " * int(argument) + line for line in value.splitlines())
            case "default":
                value = value or _get(argument, scope)
            case _:
                raise Unreadable(pipe)
    return _plain(value)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def yaml_of(value: object) -> str:
    return str(yaml.safe_dump(value, default_flow_style=not value)).strip()


def _get(path: str, scope: Scope) -> Any:
    found = re.fullmatch(r"(\$\w*|)((?:\.\w+)*)", path)
    if found is None or found[1] not in scope:
        raise Unreadable(path)
    value = scope[found[1]]
    for name in filter(None, found[2].split(".")):
        if name not in value:
            raise Unreadable(f"there is no {path}")
        value = value[name]
    return value
