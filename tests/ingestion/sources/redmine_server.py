"""A Redmine with SQLite, run by Puma as a process of this test run."""

import json
import signal
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingestion.sources.kinds.redmine.options import RedmineOptions
from tests.backends import Process, require
from tests.ingestion.sources.access_by_source import email_of

PROGRAM = Path("/usr/share/redmine")
SEED = Path(__file__).with_name("redmine_seed.rb")
ADMIN, LOCKED = "admin", "hal"
PEOPLE = ("ada", "bo", "cy", "di", "eve", "fay", "gus", "una", LOCKED, "ivy", "jo", "kim")
"""In the order in which redmine_seed.rb gives them roles."""
_RACK = """\
require '/usr/share/redmine/config/environment'
load '{seed}' unless File.exist?(ENV['REDMINE_KEYS'])
run RedmineApp::Application
"""


class RedmineServer(Process):
    """`keys`: API keys by login."""

    name = "redmine"
    end_signal = signal.SIGKILL  # it waits for its clients otherwise, and its data aren't needed

    def __init__(self) -> None:
        self._puma = require("puma", "puma")
        if not PROGRAM.is_dir() or not Path("/usr/share/doc/redmine-sqlite").is_dir():
            pytest.skip("Redmine is not installed (Debian packages redmine and redmine-sqlite)")
        super().__init__()
        self.keys: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def _database(self) -> Path:
        return self.folder / "redmine.sqlite3"

    def command(self) -> Sequence[str]:
        return (
            *(
                "env",
                "-u",
                "DATABASE_URL",
                "-u",
                "NOTIFY_SOCKET",
                self._puma,
                "-b",
                f"tcp://127.0.0.1:{self.port}",
            ),
            *("-e", "production", "-w", "0", "-t", "1:2", f"{self.folder}/config.ru"),
        )

    def environment(self) -> Mapping[str, str]:
        return {
            "REDMINE_INSTANCE": f"../../../..{self.folder}",
            "RAILS_ENV": "production",
            "REDMINE_KEYS": str(self.folder / "keys.json"),
            "REDMINE_PEOPLE": json.dumps([[login, email_of(login)] for login in PEOPLE]),
            "REDMINE_ADMIN_MAIL": email_of(ADMIN),
        }

    def prepare(self) -> None:
        for name in ("config", "tmp/cache", "log", "files", "public", "plugins"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "config" / "database.yml").write_text(
            f"production:\n  adapter: sqlite3\n  database: {self._database}\n  timeout: 20000\n"
        )
        (self.folder / "config" / "secret_key.txt").write_text("of a test " * 8)
        (self.folder / "config.ru").write_text(_RACK.format(seed=SEED))

    def start(self) -> None:
        super().start()
        self.keys = json.loads((self.folder / "keys.json").read_text())

    def ask(self, login: str, path: str, **params: str) -> Any:
        """Return what the API answers a user, None if it refuses."""
        answer = httpx.get(self.url + path, params=params, headers=self._headers(login), timeout=60)
        return answer.json() if answer.status_code == 200 else None

    def send(self, method: str, path: str, body: object = None) -> None:
        """Change something as the administrator."""
        answer = httpx.request(method, self.url + path, json=body, headers=self._headers(ADMIN), timeout=60)
        assert answer.status_code < 300, (method, path, answer.text)

    def execute(self, statement: str, *values: object) -> list[Any]:
        """Read or change the database, for what the API doesn't offer."""
        with sqlite3.connect(self._database, timeout=30) as connection:
            return connection.execute(statement, values).fetchall()

    def list_shown(self, login: str) -> set[str]:
        """Return the issues, wiki pages and files that Redmine itself shows a user."""
        shown: set[str] = set()
        issues = self.ask(login, "issues.json", status_id="*", limit="100", include="attachments")
        for issue in issues["issues"] if issues else ():
            name = f"issue:{issue['id']}"
            shown |= {name, *(f"file:{file['id']}:{name}" for file in issue["attachments"])}
        for project, identifier in self.execute("select id, identifier from projects"):
            pages = self.ask(login, f"projects/{identifier}/wiki/index.json")
            if pages:
                attached = self._list_attached(project)
                shown |= attached | {f"wiki:{project}:{page['title']}" for page in pages["wiki_pages"]}
            files = self.ask(login, f"projects/{identifier}/files.json")
            shown |= {f"file:{file['id']}:project:{project}" for file in files["files"]} if files else set()
        return shown

    def _list_attached(self, project: int) -> set[str]:
        rows = self.execute(
            "select a.id from attachments a join wiki_pages p on p.id = a.container_id "
            "join wikis w on w.id = p.wiki_id where a.container_type = 'WikiPage' and w.project_id = ?",
            project,
        )
        return {f"file:{number}:wiki:{project}" for (number,) in rows}

    def is_shown(self, login: str, item: str) -> bool:
        """Return whether a user can open an issue or wiki page, or download a file."""
        kind, number, *rest = item.split(":")
        path = {
            "issue": f"issues/{number}.json",
            "wiki": f"projects/{number}/wiki/{':'.join(rest)}.json",
            "file": f"attachments/download/{number}",
        }[kind]
        return httpx.get(self.url + path, headers=self._headers(login), timeout=60).status_code == 200

    def _headers(self, login: str) -> dict[str, str]:
        return {"X-Redmine-API-Key": self.keys[login]}


def options(server: RedmineServer, **given: Any) -> RedmineOptions:
    return RedmineOptions.model_validate({"url": server.url, "api_key": server.keys[ADMIN], **given})
