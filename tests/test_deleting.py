"""Nothing is deleted because of its name: no prefix, no pattern and no listing of a folder decides it.

A function is looked at together with those of its module that it calls. It must not both choose by a
pattern and delete, unless it is listed here with the reason why it cannot meet anybody else's data.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE = ("platform", "ingestion", "retrieval", "web")

LOOKUPS = {
    f"__{sensitive}{lookup}"
    for lookup in ("startswith", "endswith", "contains", "regex")
    for sensitive in ("", "i")
} | {"__search", "__like"}
TEXT = {"startswith", "endswith"}
LISTINGS = {"glob", "rglob", "iterdir", "listdir", "scandir", "walk", "fnmatch", "iglob"}
DELETES = ("delete", "erase", "remove", "rmtree", "unlink", "purge", "drop", "forget", "expire", "rmdir")
HARMLESS = {"removeprefix", "removesuffix"}

JUSTIFIED = {
    "ingestion/parse/sandbox/workdir.py::_clear": "Within a folder that this process created for itself.",
    "ingestion/parse/sandbox/workdir.py::sweep": "Only folders with a marker of Cairn, by their inode.",
    "ingestion/parse/office/word_markup.py::unfold": "Elements of a document that is being read, in memory.",
    "ingestion/watch_folders/services.py::_handle_missing": "Documents from a watched folder, by their ids.",
    "platform/cairn/access/services.py::knowledge_base_create": "Chooses a free slug; deletes none.",
    "retrieval/answering/generation/sentence_gate.py::_feed_announcement": "Sentences in memory.",
    "retrieval/answering/generation/sentence_gate.py::_feed_sentence": "Sentences in memory.",
    "retrieval/answering/generation/sentence_gate.py::_feed_table": "Sentences in memory.",
    "retrieval/answering/generation/sentence_gate.py::_reject_unsupported": "Sentences in memory.",
    "retrieval/answering/generation/sentence_gate.py::feed": "Sentences in memory.",
    "retrieval/conversations/services.py::forget_document": "Compares a document's id with ids in JSON.",
    "retrieval/evaluation/runs.py::forget_document": "Rewrites answers that name a document; deletes no row.",
    "retrieval/gaps/services.py::document_forget": "Compares a document's id with ids in JSON.",
    "retrieval/index/qdrant_edge.py::_sync_log": "Flushes its own log; deletes nothing.",
    "web/backup/database.py::snapshot": "The copy of the tables that is just being made.",
    "web/backup/database.py::load": "A restore replaces the tables of this install.",
    "web/backup/database.py::_postgresql_place": "A restore replaces the tables of this install.",
    "web/backup/files.py::copy_file": "A file of the backup that is just being made.",
    "web/backup/files.py::put_back": "Replaces files by those of the backup with exactly the same name.",
    "web/backup/files.py::remove_all": "A restore with --force replaces all files of this install.",
    "web/backup/files.py::remove_except": "Within the folder of the backup that is just being made.",
    "web/backup/destination.py::_clear": "Only folders that the lock of a backup names by their inode.",
    "web/backup/restore.py::_require_nothing_there": "Looks whether there is anything; deletes nothing.",
    "web/cli/folder_upload.py::_handle_vanished": "Documents from an imported folder, by their ids.",
    "web/data_dir/help_documents.py::sample_load": "Only documents that Cairn added, by their ids.",
    "web/pages/settings/views.py::logo": "Lists identity providers for the page; removes the logo alone.",
}


def modules() -> Iterator[Path]:
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path


def test_deletions_by_name_or_pattern_are_justified() -> None:
    found = {
        name
        for path in modules()
        for name in choosing_and_deleting(path.read_text(), str(path.relative_to(ROOT)))
    }
    unjustified = sorted(found - set(JUSTIFIED))
    assert not unjustified, "These delete what a name or a pattern chooses:\n" + "\n".join(unjustified)


def test_every_justification_is_of_a_function_that_exists() -> None:
    justified = {ROOT / name.partition("::")[0] for name in JUSTIFIED}
    known = {
        f"{path.relative_to(ROOT)}::{name}"
        for path in justified.intersection(modules())
        for name in functions_of(path.read_text())
    }
    assert set(JUSTIFIED) <= known


DELETING_BY_NAME = [
    'def f():\n    Group.objects.filter(name__startswith="a").delete()',
    'def f():\n    for base in KnowledgeBase.objects.filter(Q(slug__iregex="a")):\n        base_delete(base)',
    'def g():\n    return User.objects.filter(**{"name__contains": "a"})\ndef f():\n    g().delete()',
    'def f(folder):\n    for path in folder.glob("a*"):\n        shutil.rmtree(path)',
    'def f(users):\n    for user in users:\n        if user.name.startswith("a"):\n            user.delete()',
    'class A:\n    def f(self):\n        for name in os.listdir("a"):\n            self.drop(name)',
    'def f():\n    for base in Base.objects.annotate(a=Left("slug", 3)):\n        base.delete()',
]
HARMLESS_CODE = [
    "def f(ids):\n    Group.objects.filter(pk__in=ids).delete()",
    'def f():\n    return Group.objects.filter(name__startswith="a")',
    "def f(path):\n    path.unlink()",
    'def f(text):\n    return text.removeprefix("a") if text.startswith("a") else text',
    'def found():\n    return User.objects.filter(name__contains="a")\ndef f(user):\n    user.delete()',
]


@pytest.mark.parametrize("code", DELETING_BY_NAME)
def test_deleting_by_name_is_noticed(code: str) -> None:
    assert set(choosing_and_deleting(code, "a.py")) == {"a.py::f"}


@pytest.mark.parametrize("code", HARMLESS_CODE)
def test_deleting_by_id_and_only_looking_are_not(code: str) -> None:
    assert set(choosing_and_deleting(code, "a.py")) == set()


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions_of(code: str) -> dict[str, Function]:
    return {node.name: node for node in ast.walk(ast.parse(code)) if isinstance(node, Function)}


def choosing_and_deleting(code: str, path: str) -> Iterator[str]:
    functions = functions_of(code)
    contents = {name: list(ast.walk(function)) for name, function in functions.items()}
    named = {name: functions.keys() & _names(nodes) for name, nodes in contents.items()}
    choosing = {name for name, nodes in contents.items() if any(map(_chooses, nodes))}
    deleting = {name for name, nodes in contents.items() if any(map(_deletes, nodes))}
    for name in functions:
        reached = _reached(name, named, path)
        if reached & choosing and reached & deleting:
            yield f"{path}::{name}"


def _reached(start: str, named: Mapping[str, Set[str]], path: str) -> set[str]:
    """The function and those of its module that it calls or names, but none that is justified by itself."""
    reached, waiting = set[str](), [start]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [each for each in named[name] if f"{path}::{each}" not in JUSTIFIED]
    return reached


def _names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            yield node.attr


def _chooses(node: ast.AST) -> bool:
    match node:
        case ast.keyword(arg=str(name)):
            return any(name.endswith(lookup) for lookup in LOOKUPS)
        case ast.Constant(value=str(text)):
            return any(text.endswith(lookup) for lookup in LOOKUPS)
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in LISTINGS | TEXT
        case ast.Call(func=ast.Name(id=name)):
            return name in LISTINGS | {"Left", "StrIndex"}
    return False


def _deletes(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
            return name not in HARMLESS and any(word in name.lower() for word in DELETES)
    return False
