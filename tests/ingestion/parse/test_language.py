from collections.abc import Sequence

import pytest

from cairn.inference import language_identification
from cairn.library.rendition import Element
from ingestion.parse.core import language
from tests.ingestion.parse.conftest import Read

GERMAN = "Der Urlaub muss zwei Wochen vorher bei der Abteilungsleitung beantragt werden."


def elements(texts: Sequence[str], category: str = "NarrativeText") -> list[Element]:
    return [Element(number, category, text) for number, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (GERMAN, "de"),
        ("Leave has to be applied for two weeks before it starts, with the head of department.", "en"),
        ("Les congés doivent être demandés deux semaines à l'avance.", "fr"),
        ("Отпуск сотрудника оформляется за две недели до начала.", "ru"),
        ("הודעה לכל העובדים על שינוי שעות העבודה במשרד הראשי", "he"),
        ("員工請假必須提前兩週提出申請並獲得批准。如果沒有收到通知就請聯繫人事部門。", "zh"),
    ],
)
def test_language_of_a_sentence_is_detected(text: str, code: str) -> None:
    assert language.of(elements([text])) == code


@pytest.mark.parametrize(
    "text", ["", "hello", "12 | 34\n56 | 78 | 90 | 12 | 34 | 56", "A | B | C\nXQ-7 | ZZ | GS-11 | ABK"]
)
def test_too_little_text_has_no_language(text: str) -> None:
    assert language.of(elements([text])) is None


def test_code_is_ignored_for_the_language() -> None:
    code = elements(["for item in items: return the_value_of(item) if item else None"] * 20, "CodeSnippet")
    assert language.of([*code, *elements([GERMAN])]) == "de"


def test_language_is_identified_from_a_sample_of_the_whole_document(monkeypatch: pytest.MonkeyPatch) -> None:
    samples: list[str] = []
    monkeypatch.setattr(language_identification, "identify", lambda text: samples.append(text) or ("de", 1.0))
    language.of(elements([f"{number} " + "words " * 500 for number in range(5000)]))
    assert len(samples[0]) < 6000
    assert "4800 " in samples[0]


def test_parser_reports_the_language(read: Read) -> None:
    assert read(f"# Urlaub\n\n{GERMAN}\n", "a.md").language == "de"
