"""Connections to SQLite that are kept for whoever needs one next."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.utils import OperationalError
from pytest_django.plugin import DjangoDbBlocker

from cairn.sqlite.base import DatabaseWrapper


@pytest.fixture
def path(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Path]:
    path = tmp_path / "cairn.sqlite3"
    with django_db_blocker.unblock():
        yield path
        opened(path).close_pool()


def opened(path: Path) -> DatabaseWrapper:
    """As a thread has it."""
    options = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 1,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA secure_delete=ON",
    }
    settings = {**connections.settings["default"], "NAME": str(path), "OPTIONS": options}
    return DatabaseWrapper(settings, "kept")


def asked(wrapper: DatabaseWrapper, sql: str) -> Any:
    with wrapper.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def raw_of(wrapper: DatabaseWrapper) -> Any:
    wrapper.ensure_connection()
    return wrapper.connection


def test_who_comes_next_gets_the_connection_that_was_closed(path: Path) -> None:
    first, second = opened(path), opened(path)
    raw = raw_of(first)
    first.close()
    assert first.connection is None
    assert raw_of(second) is raw
    assert raw_of(first) is not raw, "it serves one at a time"


def test_another_file_of_that_name_is_opened_anew(path: Path) -> None:
    old, new = opened(path), opened(path)
    asked(old, "CREATE TABLE old (a)")
    old.close()
    for side in ("", "-wal", "-shm"):
        path.with_name(path.name + side).unlink(missing_ok=True)
    assert asked(new, "SELECT name FROM sqlite_master") == []


def test_a_file_that_went_while_it_was_open_is_let_go_of(path: Path) -> None:
    wrapper = opened(path)
    raw = raw_of(wrapper)
    path.unlink()
    wrapper.close()
    with pytest.raises(sqlite3.ProgrammingError):
        raw.execute("SELECT 1")


def test_what_was_left_in_a_transaction_is_undone(path: Path) -> None:
    wrapper = opened(path)
    asked(wrapper, "CREATE TABLE rows (a)")
    raw = raw_of(wrapper)
    raw.execute("BEGIN IMMEDIATE")
    raw.execute("INSERT INTO rows VALUES (1)")
    wrapper.close()
    other = opened(path)
    assert raw_of(other) is not raw
    assert asked(other, "SELECT * FROM rows") == []


def test_a_connection_that_met_an_error_is_not_given_to_others(path: Path) -> None:
    wrapper = opened(path)
    raw = raw_of(wrapper)
    with pytest.raises(OperationalError):
        asked(wrapper, "SELECT * FROM nowhere")
    wrapper.close()
    assert raw_of(opened(path)) is not raw


def test_foreign_keys_hold_for_who_comes_after_a_change_of_the_tables(path: Path) -> None:
    wrapper = opened(path)
    wrapper.ensure_connection()
    wrapper.disable_constraint_checking()
    wrapper.close()
    assert asked(opened(path), "PRAGMA foreign_keys") == [(1,)]


def test_the_log_can_be_emptied_beside_kept_connections(path: Path) -> None:
    """Else what was erased would stay in it."""
    wrapper, reader = opened(path), opened(path)
    asked(wrapper, "CREATE TABLE rows (a)")
    asked(wrapper, "INSERT INTO rows VALUES ('secret'), ('other')")
    with reader.cursor() as cursor:
        cursor.execute("SELECT * FROM rows")
        cursor.fetchone()
    reader.close()
    [(busy, *_)] = asked(wrapper, "PRAGMA wal_checkpoint(TRUNCATE)")
    assert not busy
    assert path.with_name(f"{path.name}-wal").stat().st_size == 0


def test_before_the_file_is_replaced_all_are_closed(path: Path) -> None:
    wrapper = opened(path)
    raw = raw_of(wrapper)
    wrapper.close()
    wrapper.close_pool()
    with pytest.raises(sqlite3.ProgrammingError):
        raw.execute("SELECT 1")


def test_no_more_are_kept_than_are_of_use(path: Path) -> None:
    many = [opened(path) for _ in range(20)]
    raws = [raw_of(wrapper) for wrapper in many]
    for wrapper in many:
        wrapper.close()
    open_ones = [raw for raw in raws if _is_open(raw)]
    assert len(open_ones) == 16


def _is_open(raw: sqlite3.Connection) -> bool:
    try:
        raw.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True
