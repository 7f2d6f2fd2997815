"""Isolation of a parser process and of the programs that it runs."""

import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse.sandbox import landlock, programs, workdir
from ingestion.parse.sandbox.pool import Limits, _ChildPool, _Request

pytestmark = pytest.mark.slow
PROBE = "tests.ingestion.parse.probe"

SPIN = "while True: pass"
KILLED = """
import resource
resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
while True: pass
"""  # by the kernel, as when memory is short
HANG = "import time; time.sleep(1000)"
FLOOD = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
ALLOCATE = "x = bytearray(1 << 30); x[::4096] = b'x' * len(x[::4096])"
FORK = """
import os
made = 0
try:
    for _ in range(50):
        if os.fork() == 0:
            os._exit(0)
        made += 1
finally:
    print(made)
"""
THREADS = """
import threading
ran = []
threads = [threading.Thread(target=ran.append, args=(1,)) for _ in range(5)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(ran))
"""
REACH = """
import json, os, socket, sys
document, folder = sys.argv[1:]
def tried(attempt):
    try:
        attempt()
    except OSError:
        return False
    return True
print(json.dumps({
    "read the document": tried(lambda: open(document, "rb").read()),
    "change the document": tried(lambda: open(document, "r+b").write(b"x")),
    "write in the folder": tried(lambda: open(folder + "/a", "wb").write(b"x" * 1000)),
    "write too much there": tried(lambda: open(folder + "/b", "wb").write(b"x" * (2 << 20))),
    "write elsewhere": tried(lambda: open("OUTSIDE/new", "wb")),
    "read elsewhere": tried(lambda: open("OUTSIDE/other", "rb")),
    "connect": tried(lambda: socket.create_connection(("127.0.0.1", 9), timeout=1)),
    "ask by name": tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
    "run a shell": tried(lambda: os.execv("/bin/sh", ["sh", "-c", "exit 0"])),
    "secrets": sorted(name for name in os.environ if "KEY" in name or "DATA" in name),
}))
"""
MANY_FILES = """
import sys, time
for i in range(20_000):
    open(f"{sys.argv[2]}/{i}", "wb").close()
time.sleep(1000)
"""
LARGE_FILES = """
import sys, time
for i in range(20):
    with open(f"{sys.argv[2]}/{i}", "wb") as file:
        file.write(bytes(1 << 20))
time.sleep(1000)
"""


@pytest.fixture
def outside_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "other").write_text("someone else's")
    (folder / "document").write_text("the document")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


@pytest.fixture
def lane(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_ChildPool]:
    """Children that run Python where they would run LibreOffice."""
    stand_in = {programs.SOFFICE: Path(sys.executable).resolve()}
    monkeypatch.setattr(programs, "find_programs", lambda: stand_in)
    lane = _ChildPool(PROBE, 1, folder)
    yield lane
    lane.close()


@pytest.fixture
def ask(lane: _ChildPool, outside_folder: Path) -> Callable[..., Any]:
    def _ask(*, limits: Limits | None = None, cancelled: Any = lambda: False, **arguments: Any) -> Any:
        return lane.ask(_Request(outside_folder / "document", arguments, limits or Limits(), cancelled))

    return _ask


def refusal(call: Callable[[], object]) -> Rejection:
    with pytest.raises(DocumentRejected) as caught:
        call()
    return caught.value.reason


def needs_landlock() -> None:
    if not landlock.version():
        pytest.skip("this kernel has no Landlock")


def leftovers(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.name not in ("in", "work", "made-by-cairn") and path.parent != folder
    ]


def test_sandboxed_child_cannot_write_outside(ask: Callable[..., Any], outside_folder: Path) -> None:
    needs_landlock()
    assert ask(outside=str(outside_folder)).result()["done"] == []
    assert sorted(path.name for path in outside_folder.iterdir()) == ["document", "other"]


def test_parsers_import_only_required_modules(folder: Path, outside_folder: Path) -> None:
    lane = _ChildPool(f"{PROBE}_parsers", 1, folder)
    answer = lane.ask(_Request(outside_folder / "document", {}, Limits())).result()
    lane.close()
    assert answer["parsers"] > 5
    assert answer["heavy_modules"] == []
    assert answer["environment"] == []
    assert answer["sentence_finder"] == ["sentencizer"]


def test_python_restrictions_apply_without_kernel_support(
    ask: Callable[..., Any], outside_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ingestion.parse.sandbox.pool._CONFINE", "tests.ingestion.parse.confine_without_kernel"
    )
    done = ask(outside=str(outside_folder)).result()["done"]
    assert [name for name in done if not name.startswith("native")] == []
    assert "native create" in done, "the kernel still stands in the way, so this shows nothing"


def test_child_reads_its_own_link_to_the_file(ask: Callable[..., Any], outside_folder: Path) -> None:
    assert ask().body == b"the document"
    assert stat.S_IMODE((outside_folder / "document").stat().st_mode) == 0o644
    assert (outside_folder / "document").stat().st_nlink == 1


def test_file_on_another_disk_is_copied(
    ask: Callable[..., Any], outside_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    assert ask().body == b"the document"


def test_program_accesses_only_its_own_folder(ask: Callable[..., Any], outside_folder: Path) -> None:
    needs_landlock()
    done = json.loads(ask(code=REACH.replace("OUTSIDE", str(outside_folder))).body)
    assert done.pop("secrets") == []
    assert {name for name, was_done in done.items() if was_done} == {
        "read the document",
        "write in the folder",
    }
    assert (outside_folder / "document").read_text() == "the document"


def test_sandboxed_program_starts_threads_but_no_processes(ask: Callable[..., Any]) -> None:
    assert ask(code=THREADS).body.strip() == b"5"
    with pytest.raises(DocumentRejected):
        ask(code=FORK)
    assert (
        ask(code="import os\ntry: os.fork()\nexcept PermissionError: print('refused')").body == b"refused\n"
    )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (SPIN, Rejection.TIME_LIMIT),
        (HANG, Rejection.TIME_LIMIT),
        (FLOOD, Rejection.TOO_LARGE),
        (ALLOCATE, Rejection.PARSER_CRASHED),
        (MANY_FILES, Rejection.TOO_LARGE),
        (KILLED, Rejection.MEMORY_LIMIT),
        ("import os; os.abort()", Rejection.PARSER_CRASHED),
    ],
)
def test_program_side_effects_end_with_the_file(
    ask: Callable[..., Any], folder: Path, code: str, reason: Rejection
) -> None:
    seconds = 2 if reason is Rejection.TIME_LIMIT else 60
    assert refusal(lambda: ask(code=code, limits=Limits(seconds=seconds, memory_mb=512))) is reason
    assert ask().body == b"the document"
    assert leftovers(folder) == []


def test_program_output_is_limited_in_total(
    ask: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workdir, "MOST_BYTES", 8 << 20)
    assert refusal(lambda: ask(code=LARGE_FILES)) is Rejection.TOO_LARGE
    assert leftovers(folder) == []


def test_hanging_program_is_cancelled_with_its_parser(ask: Callable[..., Any], folder: Path) -> None:
    cancelled = threading.Event()
    seen: list[psutil.Process] = []

    def watch() -> bool:
        """Asked while the program runs: cancels as soon as it is there."""
        children = psutil.Process().children(recursive=True)
        seen[:] = [child for child in children if HANG in child.cmdline()]
        if seen:
            cancelled.set()
        return cancelled.is_set()

    assert refusal(lambda: ask(code=HANG, cancelled=watch)) is Rejection.CANCELLED
    assert psutil.wait_procs(seen, timeout=5)[1] == []
    assert leftovers(folder) == []


def _told(code: str) -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if code in child.cmdline()]


@pytest.mark.parametrize("kernel", ["confine", "confine_without_kernel", "confine_on_older_kernel"])
def test_program_exceeding_its_time_is_ended_by_the_parser(
    ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    """Though it may signal no other process."""
    if kernel != "confine":
        monkeypatch.setattr("ingestion.parse.sandbox.pool._CONFINE", f"tests.ingestion.parse.{kernel}")
    began = time.monotonic()
    assert refusal(lambda: ask(code=HANG, seconds=0.5, limits=Limits(seconds=60))) is Rejection.TIME_LIMIT
    assert time.monotonic() - began < 40
    assert psutil.wait_procs(_told(HANG), timeout=5)[1] == []


def test_program_dies_with_its_killed_parser(ask: Callable[..., Any], lane: _ChildPool) -> None:
    found: list[psutil.Process] = []

    def kill_the_parser() -> bool:
        for child in psutil.Process().children(recursive=True):
            if HANG in child.cmdline() and PROBE not in child.cmdline() and not found:
                found.append(child)
                child.parent().kill()  # type: ignore[union-attr]
        return False

    assert refusal(lambda: ask(code=HANG, cancelled=kill_the_parser)) is Rejection.MEMORY_LIMIT
    assert psutil.wait_procs(found, timeout=5)[1] == []


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("die", Rejection.PARSER_CRASHED),
        ("be killed", Rejection.MEMORY_LIMIT),
        ("hang", Rejection.TIME_LIMIT),
    ],
)
def test_ended_child_leaves_no_files(
    ask: Callable[..., Any], folder: Path, end: str, reason: Rejection
) -> None:
    seconds = 2 if reason is Rejection.TIME_LIMIT else 5
    assert refusal(lambda: ask(end=end, limits=Limits(seconds=seconds))) is reason
    assert list(folder.iterdir()) == []
    assert ask().body == b"the document"


def test_parsed_file_leaves_no_files(ask: Callable[..., Any], folder: Path, lane: _ChildPool) -> None:
    ask(end="leave", pages=0)
    assert leftovers(folder) == []
    lane.close()
    assert list(folder.iterdir()) == []


def test_scratch_of_killed_owners_is_swept_and_of_live_ones_preserved(tmp_path: Path) -> None:
    code = (
        f"from ingestion.parse.sandbox.workdir import Scratch; import os; from pathlib import Path; "
        f"Scratch(Path({str(tmp_path)!r})); os.kill(os.getpid(), 9)"
    )
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    mine = workdir.Scratch(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    workdir.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [mine.root]
    mine.remove()
