"""A Git server: `git http-backend`, as Apache or nginx run it, with repositories in a temporary folder."""

import base64
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.threaded_server import SilentRequests

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git isn't installed")
TOKEN = "a token for reading"


class GitServer(ThreadingHTTPServer):
    """`redirects_to`: where all requests are sent instead; `breaks_off`: bytes after which an answer ends."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.requires_token = False
        self.redirects_to = ""
        self.breaks_off: int | None = None
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/handbook.git/"

    def commit(self, files: dict[str, str | bytes | None]) -> None:
        """Commit these files; None deletes one."""
        work = self.folder / "work"
        if not work.exists():
            git("init", "--quiet", "--initial-branch", "main", str(work))
            git("init", "--quiet", "--bare", "--initial-branch", "main", str(self.folder / "handbook.git"))
        for name, content in files.items():
            path = work / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        git("add", "--all", cwd=work)
        git("commit", "--quiet", "--allow-empty", "--message", "Change files", cwd=work)
        git("push", "--quiet", "--force", str(self.folder / "handbook.git"), "HEAD", cwd=work)


class _Handler(SilentRequests, BaseHTTPRequestHandler):
    server: GitServer

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.server.requests.append(self.path)
        expected = "Basic " + base64.b64encode(f":{TOKEN}".encode()).decode()
        if self.server.redirects_to:
            self.send_response(302)
            self.send_header("Location", self.server.redirects_to)
            self.end_headers()
        elif self.server.requires_token and self.headers["Authorization"] != expected:
            self.send_response(401)
            self.end_headers()
        else:
            self._run_backend(body)

    def _run_backend(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: self.server.breaks_off])


def git(*arguments: str, cwd: Path | None = None) -> None:
    identity = ("-c", "user.name=Mia", "-c", "user.email=mia@example.org", "-c", "safe.directory=*")
    subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True)


@contextmanager
def git_server(folder: Path) -> Iterator[GitServer]:
    with GitServer(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
