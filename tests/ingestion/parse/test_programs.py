"""The running of a program; what it may reach is tried in test_confine."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse.core.limits import Limits
from ingestion.parse.sandbox import programs

Run = Callable[..., bytes]


@pytest.fixture
def _given(tmp_path: Path) -> Iterator[None]:
    """Replace the programs: Python acts as one of them, and the others are missing."""
    before = programs._given, programs._folder
    programs.use({programs.PANDOC: Path(sys.executable).resolve()}, tmp_path)
    yield
    programs._given, programs._folder = before


@pytest.fixture
def run(_given: None) -> Run:
    def _run(code: str, **options: object) -> bytes:
        options.setdefault("limits", Limits(seconds=60))
        return programs.run(programs.PANDOC, ["-I", "-c", code], **options)  # type: ignore[arg-type]

    return _run


def reason(call: Callable[[], object]) -> Rejection:
    with pytest.raises(DocumentRejected) as caught:
        call()
    return caught.value.reason


def test_full_pipes_cause_no_deadlock(run: Run) -> None:
    data = bytes(range(256)) * 8192
    echo = "import sys\nwhile block := sys.stdin.buffer.read(1000): sys.stdout.buffer.write(block)"
    assert run(echo, data=data) == data


def test_output_of_a_program_ignoring_its_input_is_read(run: Run) -> None:
    assert run("print('no, thanks')", data=bytes(1 << 22)) == b"no, thanks\n"


def test_failed_program_reports_its_exit_code(run: Run) -> None:
    with pytest.raises(programs.ProgramFailed) as caught:
        run("raise SystemExit(7)")
    assert caught.value.returncode == 7


def test_program_can_have_less_time_than_its_file(run: Run) -> None:
    assert reason(lambda: run("import time; time.sleep(1000)", seconds=1)) is Rejection.TIME_LIMIT


def test_program_that_only_closes_its_output_is_killed(run: Run) -> None:
    stay = "import os, time; os.close(1); os.close(0); time.sleep(1000)"
    assert reason(lambda: run(stay, seconds=1)) is Rejection.TIME_LIMIT


def test_unlimited_output_is_too_large(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_LARGEST_OUTPUT", 1 << 20)
    flood = "import sys\nfor _ in range(64): sys.stdout.write('x' * (1 << 20))"
    assert reason(lambda: run(flood)) is Rejection.TOO_LARGE


def test_program_has_its_folder_as_home_and_no_inherited_environment(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "s3cret")
    output = run("import os; print(os.getcwd(), sorted(os.environ.items()))").decode()
    assert output.startswith(f"{tmp_path} ")
    assert f"('HOME', '{tmp_path}')" in output
    assert f"('TMPDIR', '{tmp_path}')" in output
    assert "s3cret" not in output


def test_program_writes_at_most_its_limit(run: Run, tmp_path: Path) -> None:
    write = "with open('a', 'wb', buffering=0) as file: file.write(bytes(1000))"
    run(write, may_write=1000)
    assert (tmp_path / "a").stat().st_size == 1000
    with pytest.raises(programs.ProgramFailed):
        run(write)


@pytest.mark.usefixtures("_given")
@pytest.mark.parametrize(
    ("program", "name"), [(programs.SOFFICE, "LibreOffice"), (programs.TESSERACT, "Tesseract")]
)
def test_missing_program_is_named(program: str, name: str) -> None:
    with pytest.raises(DocumentRejected, match=f"{name}, which isn’t installed on this server") as caught:
        programs.run(program, [], limits=Limits())
    assert caught.value.reason is Rejection.UNSUPPORTED_TYPE


def test_only_installed_programs_are_found() -> None:
    assert all(path.is_file() for path in programs.find_programs().values())
    assert programs.PANDOC in programs.find_programs()
