"""Data never becomes code: no serialiser that runs what it reads is used anywhere."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.core.cache import caches
from django.utils.module_loading import import_string

from cairn.cache.backend import JsonDatabaseCache

ROOT = Path(__file__).resolve().parents[3]
SOURCES = [
    *sorted(
        path
        for folder in ("platform", "ingestion", "retrieval", "web")
        for path in (ROOT / folder).rglob("*.py")
    ),
    ROOT / "manage.py",
]
MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "shelve"}
FROM_MULTIPROCESSING = {"multiprocessing.connection": {"Connection", "Pipe"}}
"""`Connection` has `send_bytes`; processes, queues and pools exchange pickles."""
FUNCTIONS = {"eval", "exec", "compile", "__import__"}
METHODS = {("yaml", "load"), ("yaml", "unsafe_load"), ("torch", "load"), ("pandas", "read_pickle")}
PLAIN_LOADERS = {"yaml.BaseLoader", "yaml.CBaseLoader", "yaml.SafeLoader", "yaml.CSafeLoader"}
CONNECTION = {"send", "recv"}
"""Methods of a `Connection` that pickle. Sockets are given a size or data, and are not used here either."""
OPTIONS = {("allow_pickle", True), ("trust_remote_code", True), ("weights_only", False), ("shell", True)}


def dangers(source: str) -> Iterator[str]:
    """Return what loads pickles, or runs text as code."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _is_dangerous(alias.name))
        if isinstance(node, ast.ImportFrom) and node.module:
            allowed = FROM_MULTIPROCESSING.get(node.module, set())
            if _is_dangerous(node.module) and not {alias.name for alias in node.names} <= allowed:
                yield node.module
        if isinstance(node, ast.Call):
            yield from _dangers_of_call(node)


def _is_dangerous(module: str) -> bool:
    return module.partition(".")[0] in MODULES | {"multiprocessing"}


def _dangers_of_call(call: ast.Call) -> Iterator[str]:
    match call.func:
        case ast.Name(name) if name in FUNCTIONS:
            yield name
        case ast.Attribute(ast.Name(module), name) if (module, name) in METHODS and not _is_plain_yaml(call):
            yield f"{module}.{name}"
        case ast.Attribute(owner, name) if name in CONNECTION and "connection" in ast.unparse(owner).lower():
            yield f"connection.{name}"
    for keyword in call.keywords:
        if isinstance(keyword.value, ast.Constant) and (keyword.arg, keyword.value.value) in OPTIONS:
            yield str(keyword.arg)


def _is_plain_yaml(call: ast.Call) -> bool:
    """Return whether a loader is named that builds nothing but plain values."""
    if ast.unparse(call.func) != "yaml.load":
        return False
    loaders = {ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == "Loader"}
    return bool(loaders) and loaders <= PLAIN_LOADERS


@pytest.mark.slow
def test_no_module_turns_data_into_code() -> None:
    found = {str(path): list(dangers(path.read_text(encoding="utf-8"))) for path in SOURCES}
    assert len(found) > 500
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", "pickle"),
        ("def load():\n    from pickle import loads", "pickle"),
        ("from joblib import load", "joblib"),
        ("import shelve as s", "shelve"),
        ("from multiprocessing import Queue", "multiprocessing"),
        ("from multiprocessing.connection import Client", "multiprocessing.connection"),
        ("eval(text)", "eval"),
        ("yaml.load(text)", "yaml.load"),
        ("yaml.load(text, Loader=yaml.CLoader)", "yaml.load"),
        ("torch.load(path)", "torch.load"),
        ("torch.load(path, Loader=yaml.SafeLoader)", "torch.load"),
        ("self._connection.recv()", "connection.recv"),
        ("np.load(path, allow_pickle=True)", "allow_pickle"),
        ("Model(path, trust_remote_code=True)", "trust_remote_code"),
        ("subprocess.run(command, shell=True)", "shell"),
    ],
)
def test_each_danger_would_be_found(source: str, found: str) -> None:
    assert list(dangers(source)) == [found]


@pytest.mark.parametrize(
    "harmless",
    [
        "import json",
        "from multiprocessing.connection import Connection",
        "connection.recv_bytes()",
        "np.load(path)",
        "json.load(file)",
        "yaml.safe_load(text)",
        "model.eval()",
        "Model(path, trust_remote_code=False)",
    ],
)
def test_harmless_serialisation_is_not_reported(harmless: str) -> None:
    assert list(dangers(harmless)) == []


def test_cache_and_sessions_are_stored_as_json(db: None) -> None:
    assert all(isinstance(caches[name], JsonDatabaseCache) for name in settings.CACHES)
    assert import_string(settings.SESSION_SERIALIZER)().dumps({"a": 1}) == b'{"a":1}'
    assert SessionStore().serializer is import_string(settings.SESSION_SERIALIZER)
