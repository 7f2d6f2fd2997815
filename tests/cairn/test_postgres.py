"""Connections to PostgreSQL out of the pool."""

import socket
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection

from cairn.postgres.base import DatabaseWrapper, is_alive


class FakeConnection:
    """The attributes of a connection that the check uses."""

    autocommit = True

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self.asked = 0

    def fileno(self) -> int:
        return self._end.fileno()

    def execute(self, _query: str) -> None:
        self.asked += 1
        if not self._end.recv(100):
            raise psycopg.OperationalError("server closed the connection")


@pytest.fixture
def ends() -> Iterator[tuple[FakeConnection, socket.socket]]:
    ours, servers = socket.socketpair()
    with ours, servers:
        yield FakeConnection(ours), servers


def test_idle_connection_is_checked_without_a_query(ends: tuple[FakeConnection, socket.socket]) -> None:
    ours, _ = ends
    assert is_alive(ours)  # type: ignore[arg-type]  # as much of one as is needed
    assert ours.asked == 0


def test_connection_closed_by_the_server_is_not_alive(ends: tuple[FakeConnection, socket.socket]) -> None:
    ours, servers = ends
    servers.close()
    assert not is_alive(ours)  # type: ignore[arg-type]  # the same


def test_notice_does_not_end_the_connection(ends: tuple[FakeConnection, socket.socket]) -> None:
    ours, servers = ends
    servers.send(b"N")
    assert is_alive(ours)  # type: ignore[arg-type]  # the same
    assert ours.asked == 1


@pytest.fixture
def pooled() -> Iterator[DatabaseWrapper]:
    """Tests have no pool otherwise."""
    if connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL: run make test-postgres")
    options = {**connection.settings_dict["OPTIONS"], "pool": {"min_size": 1, "max_size": 1}}
    wrapper = DatabaseWrapper({**connection.settings_dict, "OPTIONS": options}, "pooled")
    yield wrapper
    wrapper.close()
    wrapper.close_pool()


def backend_of(wrapper: DatabaseWrapper) -> int:
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db
def test_connection_terminated_in_the_pool_is_not_reused(pooled: DatabaseWrapper) -> None:
    first = backend_of(pooled)
    pooled.close()
    assert backend_of(pooled) == first
    pooled.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (first,))
        assert cursor.fetchone() == (True,)
    assert backend_of(pooled) != first
