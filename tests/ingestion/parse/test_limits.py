"""Limits of a parser process: time, memory, results and messages."""

import platform
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pypdfium2
import pytest

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse.sandbox import landlock, programs, seccomp
from ingestion.parse.sandbox import pool as sandbox_pool
from ingestion.parse.sandbox.pool import Limits, ParserPool, _Child, _ChildPool, _Request, probe_walls
from ingestion.parse.sandbox.probe import Walls

pytestmark = pytest.mark.slow
PROBE = "tests.ingestion.parse.probe"
PAGES = 400
Ask = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


@pytest.fixture
def lane(folder: Path) -> Iterator[_ChildPool]:
    lane = _ChildPool(PROBE, 1, folder)
    yield lane
    lane.close()


@pytest.fixture
def ask(lane: _ChildPool, tmp_path: Path) -> Ask:
    (tmp_path / "document").write_text("the document")

    def _ask(*, limits: Limits | None = None, progress: Any = lambda *_: None, **arguments: Any) -> Any:
        request = _Request(tmp_path / "document", arguments, limits or Limits(), progress=progress)
        return lane.ask(request)

    return _ask


@pytest.fixture
def refusal(ask: Ask, folder: Path) -> Callable[..., Rejection]:
    """Return why the probe's file was rejected. The next one is read, and nothing is left of the first."""

    def _refusal(**arguments: Any) -> Rejection:
        with pytest.raises(DocumentRejected) as caught:
            ask(**arguments)
        assert ask().body == b"the document"
        assert list(folder.glob("*/*/*")) == []
        return caught.value.reason

    return _refusal


def test_sleeping_child_times_out(refusal: Callable[..., Rejection]) -> None:
    assert refusal(how="sleep", limits=Limits(seconds=2)) is Rejection.TIME_LIMIT


def test_kernel_limits_a_childs_cpu_time(
    refusal: Callable[..., Rejection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Child, "_check", lambda *_, **__: None)
    assert refusal(end="hang", limits=Limits(seconds=2)) is Rejection.TIME_LIMIT


def test_native_code_hits_the_memory_limit(refusal: Callable[..., Rejection]) -> None:
    assert refusal(how="allocate", limits=Limits(memory_mb=512)) is Rejection.MEMORY_LIMIT


def test_parser_cannot_write_files(
    refusal: Callable[..., Rejection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Child, "_check", lambda *_, **__: None)
    assert refusal(how="write") is Rejection.PARSER_CRASHED


def test_oversized_parser_result_is_rejected(
    refusal: Callable[..., Rejection], ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_pool, "_LARGEST_ANSWER", 1000)
    assert refusal(answer={"result": {"text": "x" * 2000}}) is Rejection.PARSER_CRASHED


def test_child_stalling_in_its_answer_is_killed(
    refusal: Callable[..., Rejection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_pool, "_RECEIVE_SECONDS", 1)
    assert refusal(how="stop in the middle of its answer") is Rejection.PARSER_CRASHED


def test_pickle_from_a_parser_is_not_loaded(refusal: Callable[..., Rejection]) -> None:
    assert refusal(how="say what is no JSON") is Rejection.PARSER_CRASHED


@pytest.mark.parametrize(
    "answer",
    [
        {"rejected": ["no_such_code", "x"]},
        {"rejected": "time_limit"},
        {"rejected": ["time_limit", 5]},
        {"result": "text"},
        {"progress": [5, 10**40]},
        {"progress": [-1, 3]},
        {},
        [],
        "text",
    ],
    ids=str,
)
def test_invalid_answer_fails_the_file(refusal: Callable[..., Rejection], answer: object) -> None:
    assert refusal(answer=answer, limits=Limits(seconds=20)) is Rejection.PARSER_CRASHED


@pytest.mark.parametrize("result", [{}, {"rendition": [], "media_type": "", "parts": []}, {"rendition": {}}])
def test_invalid_rendition_fails_the_file(
    pool: ParserPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: dict[str, object]
) -> None:
    (tmp_path / "document").write_text("the document")
    taken_over = _ChildPool(PROBE, 1, tmp_path / "scratch")
    monkeypatch.setattr(pool, "_parsers", _Answering(taken_over, {"result": result}))
    with pytest.raises(DocumentRejected) as caught:
        pool.parse(tmp_path / "document", "a.txt", limits=Limits())
    taken_over.close()
    assert caught.value.reason is Rejection.PARSER_CRASHED


class _Answering:
    """A lane whose child process was taken over by its file."""

    def __init__(self, lane: _ChildPool, answer: dict[str, Any]) -> None:
        self._lane = lane
        self._answer = answer

    def ask(self, request: _Request) -> Any:
        return self._lane.ask(_Request(request.path, {"answer": self._answer}, request.limits))


def test_progress_is_reported_at_most_twice_a_second(ask: Ask) -> None:
    told: list[tuple[int, int]] = []
    ask(pages=5000, progress=lambda *progress: told.append(progress))
    assert told[0] == (0, 5000)
    assert len(told) < 200


def test_child_is_replaced_after_its_number_of_files(
    ask: Ask, lane: _ChildPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_pool, "_FILES_PER_CHILD", 2)
    pids = []
    for _ in range(4):
        ask()
        pids += [child._process.pid for child in lane._idle]
    assert len(set(pids)) == 2
    assert [psutil.pid_exists(pid) for pid in set(pids)] == [False, False]


def test_program_installed_later_is_used_by_the_next_file(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find_programs", dict)
    with pytest.raises(DocumentRejected, match="isn’t installed"):
        ask(code="print('here')")
    monkeypatch.setattr(programs, "find_programs", lambda: {programs.SOFFICE: Path(sys.executable).resolve()})
    assert ask(code="print('here')").body == b"here\n"


def test_urgent_files_are_parsed_first(lane: _ChildPool, ask: Ask, tmp_path: Path) -> None:
    order = list[str]()

    def run(name: str, *, urgent: bool = False, **arguments: Any) -> None:
        lane.ask(_Request(tmp_path / "document", arguments, Limits(), urgent=urgent))
        order.append(name)

    ask()
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(run, "first", how="nap")
        while not lane._busy:
            time.sleep(0.01)
        others = [threads.submit(run, "bulk"), threads.submit(run, "urgent", urgent=True)]
        for waiting in (first, *others):
            waiting.result()
    assert order == ["first", "urgent", "bulk"]


def test_pool_sweeps_files_of_a_killed_predecessor(folder: Path) -> None:
    left = folder / "parser-left" / "work"
    left.mkdir(parents=True)
    (left / "page").write_text("someone's secret")
    (left.parent / "made-by-cairn").write_text(str(left.parent.stat().st_ino))
    ParserPool(size=1, folder=folder).close()
    assert list(folder.iterdir()) == []


def test_reported_sandbox_restrictions_are_effective(folder: Path) -> None:
    folder.mkdir()
    known = seccomp._MACHINES.get(platform.machine()) is not None
    found = probe_walls(folder)
    assert found.files is bool(landlock.version())
    assert found.network or not known
    assert list(folder.iterdir()) == []


def test_missing_sandbox_restrictions_are_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    monkeypatch.setattr(sandbox_pool, "_CONFINE", "tests.ingestion.parse.confine_without_kernel")
    assert probe_walls(folder) == Walls(network=False, files=False)


@pytest.mark.timeout(600)
def test_long_pdf_reports_progress_in_bounded_memory(sample_data: Path, tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "long.pdf"
    _repeated(sample_data / "sec-10-q", path)
    pool = ParserPool(size=1, folder=folder)
    told: list[tuple[int, int]] = []
    found = pool.parse(
        path, "long.pdf", limits=Limits(), progress=lambda *progress: told.append(progress)
    ).rendition
    (child,) = pool._parsers._idle
    peak = int(Path(f"/proc/{child._process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]) << 10
    pool.close()
    assert found.pages == PAGES
    assert told[0] == (1, PAGES), "the first page is told as soon as it is read"
    assert told == sorted(told)
    assert peak < 1 << 30


def _repeated(folder: Path, path: Path) -> None:
    made = pypdfium2.PdfDocument.new()
    while len(made) < PAGES:
        for one in sorted(folder.glob("*.pdf")):
            source = pypdfium2.PdfDocument(one)
            if wanted := list(range(min(len(source), PAGES - len(made)))):
                made.import_pages(source, wanted)
    made.save(path)
    made.close()
