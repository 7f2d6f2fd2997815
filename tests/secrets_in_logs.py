"""Looks through all that was logged during a run of the tests, here and by servers that tests started."""

import contextlib
import logging
import re
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from django.contrib.sessions.backends.base import SessionBase

KEY = re.compile(r"cairn_[0-9a-f]{8}_[A-Za-z0-9_-]{43}")
WORD = re.compile(r"[0-9a-z]{32}")
SHORTEST = 8


class Listener(logging.Handler):
    """Records the origin of each log record that contains a secret, but not the secret."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: set[str] = set()
        self.sessions: set[str] = set()
        self.leaks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        for kind in leaks_in(text, self.secrets, self.sessions):
            self.leaks.append(f"{kind} in a record of {record.name} ({record.pathname}:{record.lineno})")

    def listen(self) -> None:
        """Settings of logging that came since may have left it out."""
        root = logging.getLogger()
        if self not in root.handlers:
            root.addHandler(self)

    def note_sessions(self) -> None:
        """Remembers each session that is made from now on."""
        make = SessionBase._get_new_session_key

        def noted(store: SessionBase) -> str:
            key = make(store)
            self.sessions.add(key)
            return key

        SessionBase._get_new_session_key = noted  # type: ignore[method-assign]


def leaks_in(text: str, secrets: Collection[str], sessions: Collection[str]) -> Iterator[str]:
    if KEY.search(text):
        yield "an API key"
    if any(secret in text for secret in secrets if len(secret) >= SHORTEST):
        yield "a password or the secret key"
    if not sessions.isdisjoint(WORD.findall(text)):
        yield "a session"


def leaks_of_servers(folder: Path) -> Iterator[str]:
    """Return leaks in logs of servers whose data is below the folder."""
    for log in folder.rglob("server.log"):
        secrets = {read(log.parent / name) for name in ("admin_password", "secret_key")} - {""}
        sessions = set(sessions_in(log.parent / "cairn.sqlite3"))
        for kind in leaks_in(log.read_text(encoding="utf-8", errors="replace"), secrets, sessions):
            yield f"{kind} in {log}"


def read(path: Path) -> str:
    return path.read_text(encoding="ascii").strip() if path.is_file() else ""


def sessions_in(database: Path) -> list[str]:
    if not database.is_file():
        return []
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection,
    ):
        rows: list[Any] = connection.execute("SELECT session_key FROM django_session").fetchall()
        return [key for (key,) in rows]
    return []
