"""A real OpenSSH server on a free port, with keys of its own, for the account that runs the tests."""

import base64
import getpass
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil
import pytest

from tests.backends import free_port

SSHD = "/usr/sbin/sshd"
SFTP_SERVER = "/usr/lib/openssh/sftp-server"


def _has_access_lists() -> bool:
    if shutil.which("setfacl") is None:
        return False
    with tempfile.NamedTemporaryFile(dir="/var/tmp") as file:
        return not subprocess.run(["setfacl", "-m", "u:1:r", file.name], stderr=subprocess.DEVNULL).returncode


needs_sshd = pytest.mark.skipif(
    not Path(SSHD).exists() or shutil.which("ssh-keygen") is None, reason="OpenSSH's server isn't installed"
)
needs_setfacl = pytest.mark.skipif(
    not _has_access_lists(), reason="setfacl isn't installed, or /var/tmp has no access lists"
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")


class SftpServer:
    """A server with its files in `folder`. `uid`: the user whose rights it has for files, for root only;
    without `commands`, it runs no programs."""

    def __init__(self, folder: Path, *, uid: int | None = None, commands: bool = True) -> None:
        self.folder = folder
        self.port = 0
        self.username = getpass.getuser()
        self.private_key = make_key(folder / "client")
        make_key(folder / "host")
        wrapper = folder / "sftp-server"
        as_user = f"setpriv --reuid={uid} --regid={uid} --clear-groups " if uid is not None else ""
        wrapper.write_text(f"#!/bin/sh\nexec {as_user}{SFTP_SERVER}\n")
        wrapper.chmod(0o755)
        self._lines = [
            "ListenAddress 127.0.0.1",
            f"HostKey {folder / 'host'}",
            f"AuthorizedKeysFile {folder / 'client.pub'}",
            "PidFile none",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "PermitRootLogin yes",
            "LogLevel VERBOSE",
            f"Subsystem sftp {wrapper}",
            *([] if commands else ["ForceCommand internal-sftp"]),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def fingerprint(self) -> str:
        content = (self.folder / "host.pub").read_text().split()[1]
        digest = hashlib.sha256(base64.b64decode(content)).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def start(self) -> None:
        """Start the server, on another port if somebody else was quicker."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        for _ in range(5):
            self.port = free_port()
            config = self.folder / "sshd_config"
            config.write_text("\n".join([f"Port {self.port}", *self._lines, ""]))
            with (self.folder / "log").open("wb") as log:
                self._process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=log)
            if self._answers():
                return
            self.stop()
        raise AssertionError(self.log)

    def _answers(self) -> bool:
        assert self._process
        while self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                    return connection.recv(4) == b"SSH-"
            except OSError:
                time.sleep(0.02)
        return False

    def stop(self) -> None:
        """End the server with all its connections."""
        process, self._process = self._process, None
        if process is None:
            return
        children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        for each in [process, *children]:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self.stop()


def make_key(path: Path) -> str:
    """Make a pair of keys, and return the private one."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path.read_text()


def readable_by(paths: list[Path], uid: int, groups: list[int]) -> set[Path]:
    """Return what the system lets this user open, who needs no account."""
    script = 'while IFS= read -r path; do [ -r "$path" ] && printf "%s\\n" "$path"; done; true'
    listed = "".join(f"{path}\n" for path in paths)
    done = subprocess.run(
        ["/bin/sh", "-c", script], input=listed, text=True, capture_output=True, check=True, cwd="/",
        user=uid, group=groups[0], extra_groups=groups[1:],
    )  # fmt: skip
    return {Path(line) for line in done.stdout.splitlines()}
