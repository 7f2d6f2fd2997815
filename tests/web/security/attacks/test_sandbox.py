"""A file that takes over the process that reads it, or a program of that process, gets no further."""

import ctypes
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestion.parse.sandbox import landlock, programs
from ingestion.parse.sandbox.pool import Limits, _ChildPool, _Request
from tests.ingestion.parse import outside_attempts
from tests.ingestion.parse.outside_attempts import attempt
from tests.web.security.attacks.recorder import Attack

SECRET = "postgres://cairn:s3cret-of-the-parent@db/cairn"
ANSWER = b"a secret of the service"
IN_MEMORY = ctypes.create_string_buffer(b"a secret, 16 byt", 16)
OWN_CHILD = [sys.executable, "-c", "import sys; sys.stdin.read()"]


@pytest.fixture(scope="module", autouse=True)
def kernel() -> None:
    if not landlock.version():
        pytest.skip("this kernel has no Landlock")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s")


@pytest.fixture(scope="module")
def lane(folder: Path) -> Iterator[_ChildPool]:
    """A real child that runs Python where it would run LibreOffice."""
    patch = pytest.MonkeyPatch()
    patch.setenv("DATABASE_URL", SECRET)
    stand_in = {programs.SOFFICE: Path(sys.executable).resolve()}
    patch.setattr(programs, "find_programs", lambda: stand_in)
    (folder / "document").write_text("the document")
    lane = _ChildPool("tests.ingestion.parse.probe_outside", 1, folder / "scratch")
    yield lane
    lane.close()
    patch.undo()


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(10)
            connection.sendall(ANSWER)


@pytest.fixture(scope="module")
def targets(folder: Path) -> Iterator[dict[str, str]]:
    """Services that are dangerous to reach, such as the socket of a database or of Docker."""
    opened: dict[str, tuple[socket.socket, Any]] = {
        "path": (socket.socket(socket.AF_UNIX), str(folder / "stream")),
        "abstract": (socket.socket(socket.AF_UNIX), f"\0cairn-test-{os.getpid()}"),
        "datagram": (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), str(folder / "datagram")),
        "tcp": (socket.socket(), ("127.0.0.1", 0)),
    }
    for name, (listener, address) in opened.items():
        listener.bind(address)
        if name != "datagram":
            listener.listen()
            threading.Thread(target=_serve, args=(listener,), daemon=True).start()
    yield {
        "path": str(folder / "stream"),
        "abstract": f"@cairn-test-{os.getpid()}",
        "datagram": str(folder / "datagram"),
        "tcp": str(opened["tcp"][0].getsockname()[1]),
        "memory": str(ctypes.addressof(IN_MEMORY)),
        "": "",
    }
    for listener, _ in opened.values():
        listener.close()


@pytest.fixture(scope="module")
def neighbour() -> Iterator[int]:
    """Another process of the same user."""
    environment = {"DATABASE_URL": SECRET}
    process = subprocess.Popen(OWN_CHILD, stdin=subprocess.PIPE, env=environment)
    yield process.pid
    process.communicate()


TRIES = [
    ("connect_unix", "path"),
    ("connect_unix", "abstract"),
    ("send_by_a_pair", "datagram"),
    ("connect_tcp", "tcp"),
    ("read_environment", ""),
    ("read_environment_of_a_thread", ""),
    ("read_command_line", ""),
    ("list_files", ""),
    ("read_memory", "memory"),
    ("attach", ""),
]


@pytest.mark.parametrize("by_program", [False, True], ids=["the parser", "its program"])
@pytest.mark.parametrize(("name", "target"), TRIES, ids=lambda each: each or "process")
def test_sandbox_blocks_outside_resources(
    lane: _ChildPool,
    folder: Path,
    targets: dict[str, str],
    neighbour: int,
    attack: Attack,
    name: str,
    target: str,
    by_program: bool,
) -> None:
    pid = os.getpid() if name == "read_memory" else neighbour
    attack.allowed(bool(attempt(name, targets[target], pid)), "not possible outside of the sandbox either")
    tried = {"name": name, "target": targets[target], "pid": pid, "program": by_program}
    attack.refused(lane.ask(_Request(folder / "document", tried, Limits())).body == b"")


@pytest.fixture(scope="module")
def older(folder: Path) -> Iterator[_ChildPool]:
    """A child as on a kernel whose Landlock limits neither signals nor truncation."""
    patch = pytest.MonkeyPatch()
    stand_in = {programs.SOFFICE: Path(sys.executable).resolve()}
    patch.setattr(programs, "find_programs", lambda: stand_in)
    patch.setattr("ingestion.parse.sandbox.pool._CONFINE", "tests.ingestion.parse.confine_on_older_kernel")
    (folder / "document").write_text("the document")
    lane = _ChildPool("tests.ingestion.parse.probe_outside", 1, folder / "older")
    yield lane
    lane.close()
    patch.undo()


def _is_reached(lane: _ChildPool, folder: Path, name: str, target: str, pid: int, by_program: bool) -> bool:
    tried = {"name": name, "target": target, "pid": pid, "program": by_program}
    return lane.ask(_Request(folder / "document", tried, Limits())).body != b""


BY_PROGRAM = pytest.mark.parametrize("by_program", [False, True], ids=["the parser", "its program"])


@BY_PROGRAM
@pytest.mark.parametrize("name", outside_attempts.calls(outside_attempts.ON_FILES))
def test_no_file_outside_is_changed(
    older: _ChildPool, folder: Path, attack: Attack, name: str, by_program: bool
) -> None:
    """Landlock leaves modes, owners, times and attributes alone. Nor does it know truncating at first."""
    file = folder / "theirs"
    file.write_text("0123456789")
    file.chmod(0o640)
    attack.allowed(bool(attempt(name, str(file), 0)), "not possible outside of the sandbox either")
    before = file.stat()
    attack.refused(not _is_reached(older, folder, name, str(file), 0, by_program))
    assert file.stat() == before


@BY_PROGRAM
@pytest.mark.parametrize("name", outside_attempts.calls(outside_attempts.ON_OPEN_FILES))
def test_original_file_cannot_be_changed_by_the_parser(
    older: _ChildPool, folder: Path, attack: Attack, name: str, by_program: bool
) -> None:
    """The child reads a second link to it, so that what it changes would stay."""
    document = folder / "document"
    attack.allowed(bool(attempt(name, str(document), 0)), "not possible outside of the sandbox either")
    mode, changed = document.stat().st_mode, document.stat().st_mtime
    attack.refused(not _is_reached(older, folder, name, "", 0, by_program))
    assert (document.stat().st_mode, document.stat().st_mtime) == (mode, changed)
    attack.allowed(_is_reached(older, folder, "read_the_document", "", 0, by_program), "it cannot be read")


@BY_PROGRAM
@pytest.mark.parametrize(
    "name", [*outside_attempts.calls(outside_attempts.ON_PROCESSES), *outside_attempts.SIGNALS_BY_FILES]
)
def test_sandbox_blocks_slowing_limiting_and_signalling_processes(
    older: _ChildPool, folder: Path, neighbour: int, attack: Attack, name: str, by_program: bool
) -> None:
    attack.allowed(bool(attempt(name, "", neighbour)), "not possible outside of the sandbox either")
    attack.refused(not _is_reached(older, folder, name, "", neighbour, by_program))


@pytest.mark.parametrize("name", ["prlimit", "setpriority", "sched_setaffinity", "kill", "tgkill"])
def test_parent_process_cannot_be_slowed_limited_or_signalled(
    older: _ChildPool, folder: Path, neighbour: int, attack: Attack, name: str
) -> None:
    attack.allowed(bool(attempt(name, "", neighbour)), "not possible outside of the sandbox either")
    attack.refused(not _is_reached(older, folder, name, "", os.getpid(), False))


@BY_PROGRAM
@pytest.mark.parametrize(
    "name", [*outside_attempts.calls(outside_attempts.ON_THE_KERNEL), "leave_the_session"]
)
def test_sandbox_blocks_ways_around_the_file_system(
    older: _ChildPool, folder: Path, attack: Attack, name: str, by_program: bool
) -> None:
    """Landlock covers neither shared memory nor queues, namespaces and groups of processes."""
    attack.allowed(bool(attempt(name, "", 0)), "not possible outside of the sandbox either")
    attack.refused(not _is_reached(older, folder, name, "", 0, by_program))


@BY_PROGRAM
@pytest.mark.parametrize("name", outside_attempts.calls(outside_attempts.ON_THE_KERNEL_BY_PRIVILEGE))
def test_privileges_of_the_service_are_of_no_use(
    older: _ChildPool, folder: Path, attack: Attack, name: str, by_program: bool
) -> None:
    if not attempt(name, "", 0):
        pytest.skip("this user, kernel or container does not allow it outside of the sandbox either")
    attack.allowed(True)
    attack.refused(not _is_reached(older, folder, name, "", 0, by_program))


@pytest.mark.parametrize("name", ["read_environment", "read_environment_of_a_thread", "list_files"])
def test_sandbox_blocks_inspecting_the_parent(
    lane: _ChildPool, folder: Path, attack: Attack, name: str
) -> None:
    attack.allowed(bool(attempt(name, "", os.getpid())))
    tried = {"name": name, "target": "", "pid": os.getpid(), "program": False}
    attack.refused(lane.ask(_Request(folder / "document", tried, Limits())).body == b"")


def test_sandboxed_child_inherits_no_secrets_or_open_files(
    lane: _ChildPool, folder: Path, attack: Attack
) -> None:
    """The parent has both, also a file that an ordinary child would inherit."""
    secret = folder / "open-in-the-parent"
    secret.write_text(SECRET)
    descriptor = os.open(secret, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    fresh = _ChildPool("tests.ingestion.parse.probe_outside", 1, folder / "fresh")
    try:
        told = fresh.ask(_Request(folder / "document", {}, Limits())).result()
    finally:
        fresh.close()
        os.close(descriptor)
    assert told["parent"] == os.getpid()
    attack.allowed(os.environ["DATABASE_URL"] == SECRET)
    attack.refused(SECRET not in told["environment"].values(), told["environment"])
    attack.refused(str(secret) not in told["files"], told["files"])
    assert {each.partition(":")[0] for each in told["files"] if not each.startswith("/proc")} <= {
        "/dev/null",
        "socket",
    }
