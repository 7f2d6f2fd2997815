"""The name that Django looks a backend up by."""

import select
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg_pool import ConnectionPool


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a working connection: a restarted server is noticed once, not once by each pooled
        connection.

        An answer takes about ten connections from the pool. A closed socket is readable, so the server is
        only queried if there is something to read.
        """
        while True:
            connection = super().get_new_connection(conn_params)
            if not self.pool or is_alive(connection):
                return connection
            self.pool.putconn(connection)  # which throws it away, and makes another


def is_alive(connection: "psycopg.Connection[Any]") -> bool:
    """Return whether the connection is open. Unread data may also be a notice of the server."""
    reader = select.poll()
    reader.register(connection.fileno(), select.POLLIN)
    if not reader.poll(0):
        return True
    try:
        ConnectionPool.check_connection(connection)
    except psycopg.Error:
        return False
    return True
