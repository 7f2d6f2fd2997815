"""Names, docstrings, functions and folders follow the rules in `naming.toml`.

Its list of exceptions can only shrink: an entry that is no longer needed fails the test as well.
"""

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("platform/cairn", "retrieval", "ingestion", "web")
PACKAGES = (*LAYERS, "platform/cairn_client")
RULES: dict[str, Any] = tomllib.loads((ROOT / "tests" / "naming.toml").read_text(encoding="utf-8"))
Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function


@cache
def modules() -> dict[Path, ast.Module]:
    files = [
        file.relative_to(ROOT) for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))
    ]
    own = [file for file in files if "migrations" not in file.parts]
    return {file: ast.parse((ROOT / file).read_text(encoding="utf-8")) for file in own}


@cache
def nodes() -> list[tuple[Path, ast.AST]]:
    return [(file, node) for file, module in modules().items() for node in ast.walk(module)]


def split_words(identifier: str) -> set[str]:
    """Split snake case and camel case: `told_atStart` gives told, at and start."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", identifier)}


def defined_names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.arg(arg=name):
            yield name
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield name


def assert_listed(rule: str, found: Iterable[str]) -> None:
    broken, listed = set(found), set(RULES["exceptions"][rule])
    assert not broken - listed, f"These break the rule on {rule}: {sorted(broken - listed)}"
    assert not listed - broken, f"Remove these from naming.toml: {sorted(listed - broken)}"


def test_identifiers_use_the_terms_of_the_field() -> None:
    banned = set(RULES["banned_words"].split())
    defined = {name for _, node in nodes() for name in defined_names(node)}
    assert_listed("identifiers", {name for name in defined if banned & split_words(name)})


def test_names_of_tests_use_the_terms_of_the_field() -> None:
    banned = set(RULES["banned_words"].split())
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    names = {
        f"{file.relative_to(ROOT)}::{node.name}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, Function) and node.name.startswith("test_")
    }
    assert len(names) > 4000
    assert not {name for name in names if banned & split_words(name.partition("::")[2])}


def test_log_messages_use_the_terms_of_the_field() -> None:
    messages = {text for _, node in nodes() for text in logged_texts(node)}
    banned = set(f"{RULES['banned_words']} {RULES['banned_log_words']}".split())
    assert len(messages) > 30
    assert not {text for text in messages if banned & split_words(text.lower())}


def logged_texts(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="log" | "logger")), args=[ast.Constant(str(text)), *_]
        ):
            yield text


def test_module_names_are_searchable() -> None:
    vague = set(RULES["vague_module_names"].split())
    assert_listed("modules", {str(file) for file in modules() if vague & set(file.stem.split("_"))})


@pytest.mark.parametrize("layer", LAYERS)
def test_docstrings_begin_with_their_subject(layer: str) -> None:
    """A preposition or a pronoun at the start leaves readers guessing what is described."""
    texts = [
        text
        for file, node in nodes()
        if isinstance(node, Documented) and file.is_relative_to(layer) and (text := ast.get_docstring(node))
    ]
    vague = [text for text in texts if first_word(text) in set(RULES["vague_openings"].split())]
    assert len(texts) > 100
    assert len(vague) <= RULES["vague_openings_percent"] / 100 * len(texts), "\n\n".join(vague)


def first_word(text: str) -> str:
    found = re.search(r"[a-z']+", text.lower())
    return found[0] if found else ""


def test_functions_are_short() -> None:
    long = {
        f"{file}::{node.name}"
        for file, node in nodes()
        if isinstance(node, Function) and line_count(node) > RULES["max_function_lines"]
    }
    assert_listed("functions", long)


def line_count(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_folders_are_small() -> None:
    crowded = {
        str(folder)
        for folder in {file.parent for file in modules()}
        if len([each for each in (ROOT / folder).iterdir() if each.name[0] not in "_."])
        > RULES["max_folder_entries"]
    }
    assert_listed("folders", crowded)


def test_functions_are_not_named_by_a_participle() -> None:
    """Filters of a QuerySet may be: `expired()` is Django's own idiom. So are properties."""
    classes = [node for _, node in nodes() if isinstance(node, ast.ClassDef)]
    exempt = {id(member) for node in classes for member in exempt_members(node)}
    found = {
        f"{file}::{node.name}"
        for file, node in nodes()
        if isinstance(node, Function) and id(node) not in exempt and is_participle(node.name)
    }
    assert_listed("participles", found)


def exempt_members(node: ast.ClassDef) -> Iterator[ast.stmt]:
    is_query_set = node.name.endswith(("QuerySet", "Manager"))
    for member in node.body:
        if isinstance(member, Function) and (is_query_set or is_property(member)):
            yield member


def is_property(node: Function) -> bool:
    return any("property" in ast.unparse(decorator) for decorator in node.decorator_list)


def is_participle(name: str) -> bool:
    first, *rest = name.strip("_").split("_")
    is_regular = first.endswith("ed") and first not in RULES["verbs_in_ed"].split()
    if not is_regular and first not in RULES["irregular_participles"].split():
        return False
    return not rest or rest[0] in RULES["prepositions"].split()
