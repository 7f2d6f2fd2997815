"""A DokuWiki, run by PHP's own web server as a process of this test run."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from ingestion.sources.kinds.dokuwiki.options import DokuwikiOptions
from tests.backends import Process, require
from tests.ingestion.sources.access_by_source import email_of

PROGRAM = Path("/usr/share/dokuwiki")
SETTINGS = Path("/etc/dokuwiki")
PASSWORD = "of the wiki"
ADMIN = "admin"
_PREPARE = "<?php define('DOKU_CONF', '{0}/'); define('DOKU_MAIN_CONF', '{0}/');"


class DokuwikiServer(Process):
    """`groups`: those of each user, by login. The user "admin" is in the group "admin" of superusers."""

    name = "dokuwiki"

    def __init__(self) -> None:
        self._php = require("php-cli", "php")
        if not PROGRAM.is_dir():
            pytest.skip("DokuWiki is not installed (Debian package dokuwiki)")
        super().__init__()
        self.groups: dict[str, tuple[str, ...]] = {ADMIN: ("admin", "user")}
        self.rules: list[str] = ["* @ALL 0"]
        self.settings: dict[str, object] = {
            "title": "Wiki",
            "useacl": 1,
            "superuser": "@admin",
            "remote": 1,
            "remoteuser": "",
            "savedir": str(self.folder / "data"),
            "deaccent": 0,
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def conf(self) -> Path:
        return self.folder / "conf"

    def command(self) -> Sequence[str]:
        return (
            self._php,
            *("-d", f"auto_prepend_file={self.folder}/prepare.php", "-d", f"session.save_path={self.folder}"),
            *("-d", "opcache.enable_cli=1", "-d", f"opcache.blacklist_filename={self.folder}/blacklist"),
            *("-d", "display_errors=0", "-S", f"127.0.0.1:{self.port}"),
            *("-t", str(PROGRAM)),
        )

    def prepare(self) -> None:
        self.conf.mkdir(exist_ok=True)
        for file in SETTINGS.iterdir():
            if file.is_file() and not file.is_symlink():
                shutil.copyfile(file, self.conf / file.name)
        for name in ("pages", "media", "meta", "attic", "media_attic", "media_meta", "cache", "index"):
            (self.folder / "data" / name).mkdir(parents=True, exist_ok=True)
        for name in ("locks", "log", "tmp"):
            (self.folder / "data" / name).mkdir(exist_ok=True)
        (self.folder / "blacklist").write_text(f"{self.conf}/*\n")  # read it as it is now
        (self.folder / "prepare.php").write_text(_PREPARE.format(self.conf))
        self.save()

    def save(self) -> None:
        """Write users, rules and settings into the files of the wiki."""
        lines = (
            f"{login}:{hashlib.md5(PASSWORD.encode(), usedforsecurity=False).hexdigest()}:{login.title()} Q:"
            f"{email_of(login)}:{','.join(groups)}\n"
            for login, groups in self.groups.items()
        )
        (self.conf / "users.auth.php").write_text("".join(lines))
        (self.conf / "acl.auth.php").write_text("# rules\n" + "".join(f"{rule}\n" for rule in self.rules))
        settings = "".join(
            f"$conf['{name}'] = {json.dumps(value)};\n" for name, value in self.settings.items()
        )
        (self.conf / "local.php").write_text(f"<?php\n{settings}".replace("$conf['superuser'] = null;\n", ""))

    def write_page(self, page: str, text: str) -> None:
        self._write("pages", f"{page}.txt", text.encode())

    def write_file(self, file: str, content: bytes) -> None:
        self._write("media", file, content)

    def delete_page(self, page: str) -> None:
        self._path("pages", f"{page}.txt").unlink()

    def _write(self, kind: str, name: str, content: bytes) -> None:
        path = self._path(kind, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def _path(self, kind: str, name: str) -> Path:
        return self.folder / "data" / kind / quote(name.replace(":", "/"))

    def call(self, login: str, method: str, **params: object) -> Any:
        """Return what the wiki's API answers a user, None if the wiki refuses. "" is nobody."""
        answer = httpx.post(
            f"{self.url}lib/exe/jsonrpc.php/{method}",
            json=params,
            auth=(login, PASSWORD) if login else None,
            timeout=30,
        )
        return answer.json().get("result")

    def list_shown(self, login: str) -> set[str]:
        """Return the pages and files that the wiki itself shows a user."""
        pages = self.call(login, "core.listPages", namespace="", depth=10_000)
        files = self.call(login, "core.listMedia", namespace="", depth=0)
        return {f"page:{page['id']}" for page in pages} | {f"file:{file['id']}" for file in files}

    def is_shown(self, login: str, item: str) -> bool:
        """Return whether a user can open a page or download a file."""
        kind, _, name = item.partition(":")
        if kind == "page":
            return self.call(login, "core.getPage", page=name) is not None
        answer = httpx.get(
            f"{self.url}lib/exe/fetch.php", params={"media": name}, auth=(login, PASSWORD), timeout=30
        )
        return answer.status_code == 200


def options(server: DokuwikiServer, **given: Any) -> DokuwikiOptions:
    return DokuwikiOptions.model_validate(
        {"url": server.url, "username": ADMIN, "password": PASSWORD, **given}
    )
