"""Consistent copies of the database, and their restore."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from django.conf import settings as configured
from django.contrib.sessions.models import Session
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from cairn.cache.models import Entry
from cairn.errors import CairnError, ConfigurationError, InvalidInput, Unavailable
from cairn.library.models import ReservedSlug
from retrieval.models import IndexGeneration
from web.backup.manifest import POSTGRESQL, SQLITE, Backup

_COPY: Final = "backup"
_SIDES: Final = ("", "-wal", "-shm", "-journal")
_PATIENCE: Final = "10s"  # for another process that has the tables in use
_PASSING: Final = (Entry._meta.db_table, Session._meta.db_table, "cairn_cache")
"""Tables whose rows are neither backed up nor restored; the last is the cache's before it stored JSON."""


@contextmanager
def snapshot(folder: Path) -> Iterator[str]:
    """Write the tables to the folder. Within the context, the yielded database alias is that copy."""
    if connection.vendor == "sqlite":
        with _sqlite_copy(folder / SQLITE) as alias:
            yield alias
    else:
        with transaction.atomic():
            _dump(folder / POSTGRESQL)
            yield DEFAULT_DB_ALIAS


@contextmanager
def _sqlite_copy(path: Path) -> Iterator[str]:
    """Copy with SQLite's backup API, without blocking writers."""
    settings = connections.settings[DEFAULT_DB_ALIAS]
    if not Path(settings["NAME"]).exists():
        raise InvalidInput("There's no database yet. Start Cairn once.")
    path.unlink(missing_ok=True)
    try:
        _copy_sqlite(settings["NAME"], path)
    except sqlite3.Error as error:  # of a disk that is full, too
        raise CairnError(f"The tables couldn't be copied: {error}.") from error
    connections.settings[_COPY] = {**settings, "NAME": str(path), "OPTIONS": {}}
    try:
        yield _COPY
    finally:
        connections[_COPY].close()
        del connections[_COPY]
        del connections.settings[_COPY]


def _copy_sqlite(name: str, path: Path) -> None:
    with closing(sqlite3.connect(name)) as source, closing(sqlite3.connect(path)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
        copy.execute("PRAGMA secure_delete=ON")
        _empty_passing(copy)
        if copy.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise CairnError("The database is damaged and wasn't backed up. Restore an earlier backup.")


def _empty_passing(copy: sqlite3.Connection) -> None:
    there = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for table in there.intersection(_PASSING):
        copy.execute(f"DELETE FROM {table}")  # noqa: S608 - a name of ours
    copy.commit()


def _dump(path: Path) -> None:
    """Dump the snapshot of this transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        (name,) = cursor.fetchone()
    options = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={name}", f"--file={path}"]
    without = [f"--exclude-table-data={table}" for table in _PASSING]
    _run("pg_dump", [*options, *without, _connection_string()])


def applied_migrations(using: str) -> list[str]:
    found = MigrationRecorder(connections[using]).applied_migrations()
    return sorted(f"{app}.{name}" for app, name in found)


def unknown_migrations(names: Sequence[str]) -> list[str]:
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    return sorted(set(names) - known)


def is_empty() -> bool:
    if connection.vendor == "sqlite" and not Path(connection.settings_dict["NAME"]).exists():
        return True  # a look would make one
    with _answering():
        return not connection.introspection.table_names()


def index_places() -> list[str]:
    """Return all index folders or collections in the tables, which may be of an older release."""
    table = IndexGeneration._meta.db_table
    with _answering(), connection.cursor() as cursor:
        if table not in connection.introspection.table_names(cursor):
            return []
        there = {column.name for column in connection.introspection.get_table_description(cursor, table)}
        columns = ", ".join(column for column in _PLACES if column in there)
        cursor.execute(f"SELECT {columns} FROM {table}")  # noqa: S608 - names of ours
        return [place for row in cursor.fetchall() for place in row if place]


_PLACES: Final = ("name", "place", "next_place", "old_place")


def reserved_slugs() -> list[str]:
    """Return slugs of present and past knowledge bases in the current tables."""
    with _answering(), connection.cursor() as cursor:
        if ReservedSlug._meta.db_table not in connection.introspection.table_names(cursor):
            return []
        cursor.execute(f"SELECT slug FROM {ReservedSlug._meta.db_table}")  # noqa: S608 - a name of ours
        return [slug for (slug,) in cursor.fetchall()]


def load(backup: Backup) -> None:
    """Replace all tables by those of the backup."""
    _disconnect()
    if connection.vendor == "sqlite":
        _sqlite_place(backup, Path(connection.settings_dict["NAME"]))
    else:
        _postgresql_place(backup)


def _postgresql_place(backup: Backup) -> None:
    """Restore a private copy: the dump is SQL, and must not change between verification and execution."""
    with TemporaryDirectory(dir=configured.FILE_UPLOAD_TEMP_DIR) as folder:
        dump = Path(folder) / POSTGRESQL
        backup.copy(POSTGRESQL, dump)
        with _answering():
            _drop_tables()
        _disconnect()
        options = ["--exit-on-error", "--single-transaction", "--clean", "--if-exists", "--no-owner"]
        _run("pg_restore", [*options, "--no-privileges", f"--dbname={_connection_string()}", str(dump)])


def _sqlite_place(backup: Backup, name: Path) -> None:
    """Replace the database file only after the new one is complete."""
    fresh = name.with_name(f"{name.name}.restored")
    backup.copy(SQLITE, fresh)
    for side in _SIDES:
        name.with_name(name.name + side).unlink(missing_ok=True)
    fresh.replace(name)


def _drop_tables() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{_PATIENCE}'")
        names = ", ".join(connection.ops.quote_name(name) for name in connection.introspection.table_names())
        if names:
            cursor.execute(f"DROP TABLE {names} CASCADE")


def _disconnect() -> None:
    for each in connections.all():
        each.close()
        getattr(each, "close_pool", lambda: None)()  # PostgreSQL's


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        raise Unavailable(f"The database isn't responding: {_first_line(str(error))}") from error


def _connection_string() -> str:
    """Return connection parameters without the password, which others on this machine could see."""
    settings: dict[str, Any] = connection.settings_dict
    parts = {
        "dbname": settings["NAME"],
        "user": settings["USER"],
        "host": settings["HOST"],
        "port": settings["PORT"],
        **{name: value for name, value in settings["OPTIONS"].items() if name.startswith("ssl")},
    }
    return " ".join(f"{name}='{_escape_value(str(value))}'" for name, value in parts.items() if value)


def _escape_value(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _run(program: str, arguments: Sequence[str]) -> None:
    path = shutil.which(program)
    if path is None:
        raise ConfigurationError(f"{program} is not installed. On Debian: apt-get install postgresql-client.")
    settings = {
        "PGPASSWORD": connection.settings_dict["PASSWORD"],
        "PGOPTIONS": f"-c lock_timeout={_PATIENCE}",
    }
    done = subprocess.run(  # noqa: S603 - arguments of ours
        [path, *arguments], env=settings, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise Unavailable(f"{program} failed: {_first_line(done.stderr)}")


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
