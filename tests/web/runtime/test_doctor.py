"""The doctor command checks programs and models that read documents."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.management import call_command

from cairn.settings import environment
from ingestion.parse.sandbox import pool, programs
from tests.cairn.inference.server import FakeServer
from tests.ingestion.parse import paper
from web.cli import doctor
from web.cli.doctor import CHECKS, Finding

READERS = ("Old Office files", "Text recognition", "Other documents", "Parser processes")


@pytest.fixture
def only_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECKS", {name: CHECKS[name] for name in READERS})


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any of the programs."""
    monkeypatch.setattr(programs, "find", lambda _: None)
    monkeypatch.setattr(programs, "find_programs", dict)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


def doctor_findings() -> dict[str, Finding]:
    return {finding.name: finding for finding in doctor.findings()}


@pytest.mark.usefixtures("only_readers")
def test_doctor_lists_installed_programs_with_path_and_languages() -> None:
    for program in (programs.SOFFICE, programs.TESSERACT):
        paper.needs(program)
    found = doctor_findings()
    assert found["Old Office files"].detail == str(programs.find(programs.SOFFICE))
    assert found["Text recognition"].detail.startswith(f"{programs.find(programs.TESSERACT)}, languages: ")
    assert "eng" in found["Text recognition"].detail
    assert "osd" not in found["Text recognition"].detail
    assert all(found[name].ok for name in READERS[:3])


@pytest.mark.usefixtures("only_readers", "bare")
def test_doctor_names_missing_programs_and_the_affected_files() -> None:
    found = doctor_findings()
    assert [found[name].detail for name in READERS[:3]] == [
        f"{program} isn't installed, so {files} won't be read."
        for program, files in (
            ("LibreOffice", "old Office files (.doc, .ppt)"),
            ("Tesseract", "images (.png, .jpg, .tiff) and scanned pages of a PDF"),
            ("Pandoc", "RTF, ODT, EPUB, RST and Org files"),
        )
    ]
    assert all(found[name].optional and not found[name].ok for name in READERS[:3])


@pytest.mark.usefixtures("only_readers", "bare")
def test_missing_optional_program_does_not_fail_the_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("doctor")
    output = capsys.readouterr().out
    assert "without  Text recognition Tesseract isn't installed" in output
    assert "MISSING" not in output


@pytest.mark.usefixtures("only_readers")
def test_unavailable_ocr_language_fails_the_doctor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paper.needs(programs.TESSERACT)
    asked = environment().model_copy(update={"ocr_languages": "eng+xxx"})
    monkeypatch.setattr("ingestion.parse.parser_pool.environment", lambda: asked)
    with pytest.raises(SystemExit):
        call_command("doctor")
    assert (
        "OCR_LANGUAGES includes xxx, but Tesseract has no data for it. Available: " in capsys.readouterr().out
    )


@pytest.mark.usefixtures("only_readers")
def test_missing_kernel_restrictions_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_CONFINE", "tests.ingestion.parse.confine_without_kernel")
    found = doctor_findings()["Parser processes"]
    assert (found.ok, found.optional) == (False, True)
    assert "from the network and other files; only Python's own guards apply" in found.detail


Look = Callable[..., dict[str, Finding]]
OPTIONAL_MODELS = ("Reranker", "Reader model", "Grounding model")


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Look:
    """Return the results for the optional models with these settings."""

    def look(**settings: str | None) -> dict[str, Finding]:
        given = environment().model_copy(update=settings)
        monkeypatch.setattr(doctor, "environment", lambda: given)
        monkeypatch.setattr(doctor, "CHECKS", {name: CHECKS[name] for name in OPTIONAL_MODELS})
        return doctor_findings()

    return look


def test_unconfigured_models_are_not_required(configured: Look) -> None:
    assert {(found.ok, found.detail) for found in configured().values()} == {
        (True, "not configured, and not needed")
    }


def test_model_folders_are_reported_with_their_path(configured: Look, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    folder, nowhere = str(tmp_path), str(tmp_path / "nowhere")
    found = configured(reranker_model=folder, answerability_model=folder, grounding_model=nowhere)
    assert [(found[name].ok, found[name].detail) for name in OPTIONAL_MODELS[:2]] == [(True, folder)] * 2
    assert not found["Grounding model"].ok
    assert found["Grounding model"].detail.startswith(f"GROUNDING_MODEL '{nowhere}' is neither")


def test_reranking_server_is_tried(configured: Look, server: FakeServer) -> None:
    server.respond = lambda exchange: exchange.answer([{"index": 0, "score": 0.5}])
    found = configured(reranker_base_url=server.url, reranker_model="bge")
    assert (found["Reranker"].ok, found["Reranker"].detail) == (True, f"bge at {server.url}")
    server.respond = lambda exchange: exchange.answer({}, 500)
    found = configured(reranker_base_url=server.url, reranker_model=None)
    assert (found["Reranker"].ok, found["Reranker"].optional) == (False, False)
    assert "returned status 500" in found["Reranker"].detail


def test_key_from_the_console_is_not_sent_to_a_metadata_service(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://169.254.169.254/v1"
    given = environment().with_stored({"llm_base_url": url, "llm_model": "mistral"})
    monkeypatch.setattr(doctor, "effective_environment", lambda: given)
    monkeypatch.setattr(doctor, "CHECKS", {"Language model": CHECKS["Language model"]})
    assert doctor_findings()["Language model"].detail == f"{url}/models does not answer (AddressNotAllowed)."


def test_reranker_class_is_imported(configured: Look) -> None:
    assert configured(reranker_model="tests.fakes.FakeReranker")["Reranker"].ok
    found = configured(reranker_model="not_installed_here.Rerank")["Reranker"]
    assert "RERANKER_MODEL is not_installed_here.Rerank, which isn't installed" in found.detail


def test_doctor_checks_every_reader() -> None:
    assert set(READERS) <= CHECKS.keys()
