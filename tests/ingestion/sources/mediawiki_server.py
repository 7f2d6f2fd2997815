"""A MediaWiki, run by PHP's own web server as a process of this test run."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingestion.sources.kinds.mediawiki.options import MediawikiOptions
from tests.backends import Process, require

PROGRAM = Path("/usr/share/mediawiki")
ADMIN = "Admin"
ADMIN_PASSWORD = "sysop of the wiki"
BOT = "Admin@cairn"
BOT_PASSWORD = "0123456789abcdefghijklmnopqrstuv"
_SETTINGS = """
foreach ( json_decode( file_get_contents( '{folder}/settings.json' ), true ) as $name => $value ) {{
    $before = $GLOBALS[$name] ?? null;
    $merges = is_array( $before ) && is_array( $value );
    $GLOBALS[$name] = $merges ? array_replace_recursive( $before, $value ) : $value;
}}
$wgHooks['ParserBeforeInternalParse'][] = static function () {{
    if ( $GLOBALS['wgBrokenPages'] ?? false ) {{
        throw new RuntimeException( 'broken' );
    }}
}};
"""
"""Settings come from a file, and pages can be made such that the wiki fails to render them."""
_ROUTER = """<?php
$path = rawurldecode( parse_url( $_SERVER['REQUEST_URI'], PHP_URL_PATH ) );
if ( !str_starts_with( $path, '/images/' ) ) {{
    return false;
}}
readfile( '{folder}' . $path );
"""


class MediawikiServer(Process):
    """A wiki with an administrator, who has a bot password that may only read."""

    name = "mediawiki"

    def __init__(self) -> None:
        self._php = require("php-cli", "php")
        if not (PROGRAM / "maintenance" / "run.php").is_file():
            pytest.skip("MediaWiki is not installed (Debian package mediawiki)")
        modules = subprocess.run([self._php, "-m"], check=True, capture_output=True, text=True).stdout.split()
        if "pdo_sqlite" not in modules:
            pytest.skip("PHP can't use SQLite (Debian package php-sqlite3)")
        super().__init__()
        self.settings: dict[str, object] = {}
        self._client = httpx.Client(timeout=60)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def environment(self) -> dict[str, str]:
        return {"MW_CONFIG_FILE": f"{self.folder}/LocalSettings.php"}

    def command(self) -> Sequence[str]:
        return (
            *(self._php, "-d", "opcache.enable_cli=1"),
            *("-d", f"opcache.blacklist_filename={self.folder}/blacklist", "-d", "display_errors=0"),
            *("-S", f"127.0.0.1:{self.port}", "-t", str(PROGRAM), f"{self.folder}/router.php"),
        )

    def prepare(self) -> None:
        for name in ("images", "cache"):
            (self.folder / name).mkdir()
        (self.folder / "blacklist").write_text(f"{self.folder}/*\n")
        (self.folder / "router.php").write_text(_ROUTER.format(folder=self.folder))
        self.save()
        self._run(
            *("install", "--dbtype", "sqlite", "--dbpath", f"{self.folder}/data", "--dbname", "wiki"),
            *("--confpath", str(self.folder), "--scriptpath", "", "--server", self.url.rstrip("/")),
            *("--pass", ADMIN_PASSWORD, "--skins", "", "Wiki", ADMIN),
        )
        with (self.folder / "LocalSettings.php").open("a") as file:
            file.write(_SETTINGS.format(folder=self.folder))
        self._run("createBotPassword", "--appid", "cairn", "--grants", "basic", ADMIN, BOT_PASSWORD)

    def save(self, **changed: object) -> None:
        """Write the settings of the wiki, with changes to those that every wiki here has."""
        self.settings = {
            "wgEnableUploads": True,
            "wgUploadDirectory": f"{self.folder}/images",
            "wgUploadPath": "/images",
            "wgCacheDirectory": f"{self.folder}/cache",
            "wgFileExtensions": ["png", "txt"],
            "wgStrictFileExtensions": False,
            "wgJobRunRate": 0,
            "wgRateLimits": {},
            **changed,
        }
        (self.folder / "settings.json").write_text(json.dumps(self.settings))

    def _run(self, script: str, *arguments: str) -> None:
        known = self.environment() if script != "install" else {}
        subprocess.run(
            [self._php, str(PROGRAM / "maintenance" / "run.php"), script, *arguments],
            cwd=self.folder, env={**os.environ, **known}, check=True, capture_output=True,
        )  # fmt: skip

    def run_jobs(self) -> None:
        """Let the wiki do what follows from edits, such as marking the pages that use a template."""
        self._run("runJobs")

    def write_page(self, title: str, text: str) -> None:
        self._change(action="edit", title=title, text=text)

    def move_page(self, title: str, to: str) -> None:
        self._change(action="move", **{"from": title, "to": to})

    def delete_page(self, title: str) -> None:
        self._change(action="delete", title=title)

    def upload(self, name: str, content: bytes) -> None:
        self._change({"file": (name, content)}, action="upload", filename=name, ignorewarnings="1")

    def _change(self, files: Any = None, **fields: str) -> None:
        token = self._ask(action="query", meta="tokens", type="csrf")["query"]["tokens"]["csrftoken"]
        if token == "+\\":
            self._sign_in()
            token = self._ask(action="query", meta="tokens", type="csrf")["query"]["tokens"]["csrftoken"]
        answer = self._ask(files, **fields, token=token)
        assert "error" not in answer, answer

    def _sign_in(self) -> None:
        token = self._ask(action="query", meta="tokens", type="login")["query"]["tokens"]["logintoken"]
        answer = self._ask(action="login", lgname=ADMIN, lgpassword=ADMIN_PASSWORD, lgtoken=token)
        assert answer["login"]["result"] == "Success", answer

    def _ask(self, files: Any = None, **fields: str) -> Any:
        data = {"format": "json", "formatversion": "2", **fields}
        return self._client.post(f"{self.url}api.php", data=data, files=files).json()

    def close(self) -> None:
        self._client.close()
        super().close()


def options(server: MediawikiServer, **given: Any) -> MediawikiOptions:
    return MediawikiOptions.model_validate({"url": f"{server.url}api.php", **given})


def bot_options(server: MediawikiServer, **given: Any) -> MediawikiOptions:
    return options(server, username=BOT, password=BOT_PASSWORD, **given)
