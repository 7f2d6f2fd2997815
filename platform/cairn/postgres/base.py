"""The name that Django looks a backend up by."""

import select
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg_pool import ConnectionPool


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """One that works: a restarted server is met once, not once by each connection that waits in the pool.

        An answer takes connections from the pool about ten times. A server that has gone has closed its end,
        which can be seen here; only where something can be read is the server asked.
        """
        while True:
            connection = super().get_new_connection(conn_params)
            if not self.pool or is_alive(connection):
                return connection
            self.pool.putconn(connection)  # which throws it away, and makes another


def is_alive(connection: "psycopg.Connection[Any]") -> bool:
    """False if its end has come. A notice may lie there to be read, too."""
    reader = select.poll()
    reader.register(connection.fileno(), select.POLLIN)
    if not reader.poll(0):
        return True
    try:
        ConnectionPool.check_connection(connection)
    except psycopg.Error:
        return False
    return True
