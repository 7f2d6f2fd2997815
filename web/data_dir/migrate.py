"""Database migrations at startup."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.migrations.executor import MigrationExecutor

from cairn.errors import ConfigurationError, Unavailable


def migrate() -> int:
    """Apply migrations. Returns their number. Raises Unavailable if the database cannot be reached."""
    with _answering():
        missing = _missing()
        if missing:
            call_command("migrate", interactive=False, verbosity=0, stdout=io.StringIO())
    return missing


def require_migrated() -> None:
    """Check migrations in processes that do not apply them. Raises ConfigurationError or Unavailable."""
    with _answering():
        if _missing():
            raise ConfigurationError("The tables are not up to date: run `manage.py migrate` first.")


def _missing() -> int:
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        settings = connections[DEFAULT_DB_ALIAS].settings_dict
        where = f"{settings['HOST']}:{settings['PORT']}" if settings["HOST"] else str(settings["NAME"])
        reason = " ".join(str(error).split())
        raise Unavailable(f"The database at {where} does not answer: {reason}") from error
