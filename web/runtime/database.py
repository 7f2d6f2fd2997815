"""Bringing the tables up to date."""

import io

from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.migrations.executor import MigrationExecutor

from cairn.errors import Unavailable


def migrate() -> int:
    """How many migrations were applied. Raises Unavailable when there is no database to talk to."""
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if plan:
            call_command("migrate", interactive=False, verbosity=0, stdout=io.StringIO())
    except OperationalError as error:
        raise Unavailable(f"The database does not answer: {error}") from error
    return len(plan)
