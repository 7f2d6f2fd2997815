import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from fpdf import FPDF

from cairn.errors import DocumentRejected, NotFound, Rejection, Unavailable
from ingestion.parse.sandbox import pool as sandbox_pool
from ingestion.parse.sandbox.pool import Limits, ParserPool, _Child

pytestmark = pytest.mark.slow

SLOW = "a b c. " + "[" * 200_000 + " d e f"  # to find the words here takes a tokenizer minutes
PARENT = """
import sys
from pathlib import Path
from ingestion.parse.sandbox.pool import Limits, ParserPool
pool = ParserPool(size=1)
pool.warm()
print(pool._parsers._idle[0]._process.pid, flush=True)
pool.parse(Path(sys.argv[1]), "slow.md", limits=Limits(seconds=600))
"""


@pytest.fixture
def own_pool() -> Iterator[ParserPool]:
    pool = ParserPool(size=1)
    yield pool
    pool.close()


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    path = tmp_path / "slow.md"
    path.write_text(SLOW)
    return path


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    path = tmp_path / "quick.md"
    path.write_text("# Quick\n\nAll is well.")
    return path


def refusal(parse: Callable[[], object]) -> Rejection:
    with pytest.raises(DocumentRejected) as caught:
        parse()
    return caught.value.reason


def is_well(pool: ParserPool, quick: Path) -> bool:
    return pool.parse(quick, "quick.md", limits=Limits()).rendition.title == "Quick"


def child_of(pool: ParserPool) -> psutil.Process:
    lane = pool._parsers
    give_up = time.monotonic() + 30
    while not (children := [*lane._busy, *lane._idle]):
        assert time.monotonic() < give_up, "there is no child"
        time.sleep(0.02)
    return psutil.Process(children[0]._process.pid)


def test_child_process_is_reused_regardless_of_the_size_of_its_parent(
    own_pool: ParserPool, quick: Path
) -> None:
    large = np.ones(200_000_000)
    is_well(own_pool, quick)
    before = child_of(own_pool).pid
    assert is_well(own_pool, quick)
    assert child_of(own_pool).pid == before
    assert large.all()


def test_threads_share_the_children(quick: Path) -> None:
    pool = ParserPool(size=2)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: is_well(pool, quick), range(12)))
    most = len(pool._parsers._idle)
    pool.close()
    assert found == [True] * 12
    assert most <= 2


def test_second_child_starts_only_when_none_becomes_free(
    quick: Path, slow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_pool, "_PATIENCE", 600.0)
    pool = ParserPool(size=2)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(lambda _: is_well(pool, quick), range(12))) == [True] * 12
        assert len(pool._parsers._idle) == 1, "all were read by the first"
        monkeypatch.setattr(sandbox_pool, "_PATIENCE", 0.1)
        done = threading.Event()
        with ThreadPoolExecutor(1) as threads:
            busy = threads.submit(pool.parse, slow, "slow.md", limits=Limits(), cancelled=done.is_set)
            child_of(pool)
            assert is_well(pool, quick)
            assert not busy.done()
            assert len(pool._parsers._idle) == 1
            done.set()
            assert refusal(busy.result) is Rejection.CANCELLED
    finally:
        pool.close()


def test_pool_adds_only_one_child_under_load(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However short each wait is."""
    pool = ParserPool(size=2)
    try:
        assert is_well(pool, quick)
        monkeypatch.setattr(sandbox_pool, "_PATIENCE", 0.2)
        with ThreadPoolExecutor(4) as threads:
            assert all(threads.map(lambda _: is_well(pool, quick), range(450)))
        assert len(pool._parsers._idle) == 2
    finally:
        pool.close()


def test_second_child_starts_only_without_a_backlog_of_read_files(
    quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second would take memory and its start time from who is behind."""
    behind = True
    pool = ParserPool(size=2, backlog=lambda: behind)
    try:
        assert is_well(pool, quick)
        monkeypatch.setattr(sandbox_pool, "_PATIENCE", 0.0)
        with ThreadPoolExecutor(4) as threads:
            assert all(threads.map(lambda _: is_well(pool, quick), range(40)))
            assert len(pool._parsers._idle) == 1
            behind = False
            assert all(threads.map(lambda _: is_well(pool, quick), range(40)))
        assert len(pool._parsers._idle) == 2
    finally:
        pool.close()


def test_backlog_does_not_make_all_files_wait_for_a_slow_one(
    quick: Path, slow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_pool, "_PATIENCE", 0.0)
    monkeypatch.setattr(sandbox_pool, "_PATIENCE_BEHIND", 0.5)
    pool = ParserPool(size=2, backlog=lambda: True)
    done = threading.Event()
    try:
        with ThreadPoolExecutor(1) as threads:
            busy = threads.submit(pool.parse, slow, "slow.md", limits=Limits(), cancelled=done.is_set)
            child_of(pool)
            assert is_well(pool, quick)
            assert not busy.done()
            done.set()
            assert refusal(busy.result) is Rejection.CANCELLED
    finally:
        done.set()
        pool.close()


def test_urgent_file_gets_a_child_immediately(
    quick: Path, slow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_pool, "_PATIENCE", 600.0)
    pool = ParserPool(size=2)
    done = threading.Event()
    try:
        with ThreadPoolExecutor(1) as threads:
            busy = threads.submit(pool.parse, slow, "slow.md", limits=Limits(), cancelled=done.is_set)
            child_of(pool)
            read = pool.parse(quick, "quick.md", limits=Limits(), urgent=True)
            assert read.rendition.title == "Quick"
            assert not busy.done()
            done.set()
            assert refusal(busy.result) is Rejection.CANCELLED
    finally:
        done.set()
        pool.close()


def test_parsing_times_out(own_pool: ParserPool, slow: Path, quick: Path) -> None:
    assert refusal(lambda: own_pool.parse(slow, "slow.md", limits=Limits(seconds=1))) is Rejection.TIME_LIMIT
    assert is_well(own_pool, quick)


def test_time_of_the_reader_is_not_counted_for_the_file(own_pool: ParserPool, tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    path.write_text("A word.\n\n" * 100_000)  # not read at the first look
    asked = []

    def not_cancelled() -> bool:
        asked.append(time.sleep(7))  # as a database does that is locked
        return False

    own_pool.parse(path, "some.txt", limits=Limits(seconds=6), cancelled=not_cancelled)
    assert len(asked) > 1


def test_parsing_hits_the_memory_limit(own_pool: ParserPool, tmp_path: Path, quick: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_text("word\n\n" * 3_000_000)
    limits = Limits(memory_mb=256)
    assert refusal(lambda: own_pool.parse(path, "large.txt", limits=limits)) is Rejection.MEMORY_LIMIT
    assert is_well(own_pool, quick)


def test_parse_can_be_cancelled(own_pool: ParserPool, slow: Path, quick: Path) -> None:
    asked = iter([False, False, True])
    parse = lambda: own_pool.parse(slow, "slow.md", limits=Limits(), cancelled=lambda: next(asked, True))  # noqa: E731
    assert refusal(parse) is Rejection.CANCELLED
    assert is_well(own_pool, quick)


def test_waiting_for_a_child_is_cancelled(own_pool: ParserPool, slow: Path, quick: Path) -> None:
    done = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        busy = threads.submit(own_pool.parse, slow, "slow.md", limits=Limits(), cancelled=done.is_set)
        child_of(own_pool)
        asked = iter([False, True])
        parse = lambda: own_pool.parse(quick, "a.md", limits=Limits(), cancelled=lambda: next(asked, True))  # noqa: E731
        assert refusal(parse) is Rejection.CANCELLED
        done.set()
        assert refusal(busy.result) is Rejection.CANCELLED


def test_crash_fails_only_the_current_file(own_pool: ParserPool, slow: Path, quick: Path) -> None:
    is_well(own_pool, quick)
    with ThreadPoolExecutor(1) as threads:
        busy = threads.submit(own_pool.parse, slow, "slow.md", limits=Limits())
        while not own_pool._parsers._busy:
            time.sleep(0.02)
        time.sleep(0.5)
        child_of(own_pool).send_signal(signal.SIGSEGV)
        assert refusal(busy.result) is Rejection.PARSER_CRASHED
    assert is_well(own_pool, quick)


def test_idle_child_that_died_is_replaced(own_pool: ParserPool, quick: Path) -> None:
    is_well(own_pool, quick)
    child = child_of(own_pool)
    child.kill()
    psutil.wait_procs([child], timeout=10)
    assert is_well(own_pool, quick)


def test_child_that_fails_to_start_is_unavailable(tmp_path: Path) -> None:
    child = _Child("ingestion.parse.no_such_module", tmp_path)
    with pytest.raises(Unavailable):
        child.await_ready()
    assert list(tmp_path.iterdir()) == []


def test_closing_the_pool_ends_its_children(slow: Path) -> None:
    pool = ParserPool(size=1)
    with ThreadPoolExecutor(1) as threads:
        busy = threads.submit(pool.parse, slow, "slow.md", limits=Limits())
        child = child_of(pool)
        pool.close()
        with pytest.raises(Unavailable):
            busy.result()
    assert not child.is_running()
    with pytest.raises(Unavailable):
        pool.parse(slow, "slow.md", limits=Limits())


def test_busy_child_does_not_outlive_its_killed_parent(slow: Path) -> None:
    path = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-c", PARENT, str(slow)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": path}, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        started = child.cpu_times().user
        while child.cpu_times().user < started + 0.3:
            time.sleep(0.05)
        parent.send_signal(signal.SIGKILL)
    gone, alive = psutil.wait_procs([child], timeout=20)
    for process in alive:
        process.kill()
    assert gone == [child]


def test_invalid_file_names_are_accepted_safely(pool: ParserPool, quick: Path) -> None:
    for filename in ("../../etc/passwd", "a\0.md", "...", "", "é" * 300 + ".md"):
        assert pool.parse(quick, filename, limits=Limits()).rendition.elements


def test_pages_are_drawn(pool: ParserPool, tmp_path: Path) -> None:
    document = FPDF(unit="pt", format=(600, 800))
    document.add_page()
    document.set_font("helvetica", size=30)
    document.text(60, 60, "Hello")
    document.output(str(tmp_path / "a.pdf"))
    png = pool.render_page(tmp_path / "a.pdf", 1, width=300, limits=Limits())
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20]) == 300
    assert int.from_bytes(png[20:24]) == 400
    with pytest.raises(NotFound):
        pool.render_page(tmp_path / "a.pdf", 2, width=300, limits=Limits())


def test_invalid_pdf_is_not_rendered(pool: ParserPool, quick: Path) -> None:
    with pytest.raises(DocumentRejected):
        pool.render_page(quick, 1, width=300, limits=Limits())
