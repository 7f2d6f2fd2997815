"""Connections to the database while nothing is asked of it."""

from django.db import connections


def connections_release() -> None:
    """Gives this thread's connections back to their pools: waiting for a model or a reader needs none, and a
    pool is small. Leaves alone what is inside a transaction, and databases without a pool."""
    for connection in connections.all(initialized_only=True):
        if connection.settings_dict["OPTIONS"].get("pool") and not connection.in_atomic_block:
            connection.close()
