"""The search for secrets in logs finds those that are there."""

import contextlib
import logging
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore

from tests.conftest import LISTENER, PASSWORD
from tests.secrets_in_logs import Listener, leaks_of_servers

API_KEY = f"cairn_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger that the listener of this test run ignores."""
    logger = logging.getLogger("tests.secrets")
    logger.propagate = False
    yield logger
    logger.handlers.clear()
    logger.propagate = True


@pytest.fixture
def listener(logger: logging.Logger) -> Listener:
    listener = Listener()
    listener.secrets.update({PASSWORD, settings.SECRET_KEY})
    logger.addHandler(listener)
    return listener


def test_secrets_listener_is_installed_during_test_runs() -> None:
    assert LISTENER in logging.getLogger().handlers
    assert {PASSWORD, settings.SECRET_KEY} <= LISTENER.secrets


def test_secrets_in_log_messages_are_found(logger: logging.Logger, listener: Listener) -> None:
    logger.error("a question was asked by %s", "ada")
    assert listener.leaks == []
    logger.error("refused the key %s", API_KEY)
    logger.error("signed in with %s", PASSWORD)
    logger.error("made with %s", settings.SECRET_KEY)
    try:
        raise ValueError(API_KEY)
    except ValueError:
        logger.exception("it failed")
    assert len(listener.leaks) == 4
    assert not any(API_KEY in leak or PASSWORD in leak for leak in listener.leaks)


@pytest.mark.django_db
def test_sessions_are_known(logger: logging.Logger, listener: Listener) -> None:
    session = SessionStore()
    session.create()
    assert session.session_key in LISTENER.sessions
    listener.sessions = LISTENER.sessions
    logger.error("Cookie: cairn_session=%s; theme=dark", session.session_key)
    assert len(listener.leaks) == 1


@pytest.mark.parametrize("line", ["the password is {password}", "{secret}", "key={key}", "session {session}"])
def test_secrets_in_server_logs_are_found(tmp_path: Path, line: str) -> None:
    known = {"password": "correct-horse-staple", "secret": "s" * 40, "key": API_KEY, "session": "a1" * 16}
    folder = tmp_path / "cairn"
    folder.mkdir()
    (folder / "admin_password").write_text(known["password"])
    (folder / "secret_key").write_text(known["secret"])
    with contextlib.closing(sqlite3.connect(folder / "cairn.sqlite3")) as database, database:
        database.execute("CREATE TABLE django_session (session_key TEXT)")
        database.execute("INSERT INTO django_session VALUES (?)", [known["session"]])
    (folder / "server.log").write_text("a quiet day\n")
    assert list(leaks_of_servers(tmp_path)) == []
    (folder / "server.log").write_text(f"{line.format(**known)}\n")
    assert len(list(leaks_of_servers(tmp_path))) == 1
    (folder / "server.log").unlink()
