import json
from pathlib import Path

import pytest

from cairn.errors import InvalidInput
from retrieval.evaluation.gold_file import GoldQuestion, Kind, gold_questions
from tests.environment import GIVEN
from tests.gold.sec_10_q import TABLE, gold_questions_in

GOLD = Path(__file__).resolve().parents[2] / "gold"
HANDBOOK = Path(GIVEN["SAMPLE_DATA"] or GOLD.parents[2] / "shared" / "data")
FILES = ("handbook_dev.jsonl", "handbook_test.jsonl")


def line(**fields: object) -> str:
    return json.dumps({"id": "a", "question": "How many days?", **fields})


def test_gold_line_becomes_a_question() -> None:
    answerable, not_answerable = gold_questions(
        [line(relevant=["leave.md"]), "", line(id="b", kind="near_miss")]
    )
    assert (answerable.kind, answerable.answerable) == (Kind.PARAPHRASE, True)
    assert not not_answerable.answerable


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["{"], "line 1: Invalid JSON"),
        ([line(), line(id="")], "line 2: id: "),
        ([line(), "", line()], "line 3: the id “a” is there twice"),
        ([line(colour="red")], "line 1: colour: "),
        ([line(must_contain=["25"])], "has an answer but no relevant document"),
        ([line(kind="unanswerable", relevant=["leave.md"])], "is unanswerable but has a relevant document"),
        ([" "], "It contains no questions."),
        (["x"] * 9, "(and 4 more)"),
    ],
)
def test_invalid_gold_line_is_named_with_its_number(lines: list[str], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        gold_questions(lines)
    assert message in caught.value.message


def questions(name: str) -> list[GoldQuestion]:
    return gold_questions((GOLD / name).read_text(encoding="utf-8").splitlines())


def test_tuning_and_testing_use_different_questions() -> None:
    dev, test = (questions(name) for name in FILES)
    assert not {question.id for question in dev} & {question.id for question in test}
    assert not {quote for question in dev for quote in question.quotes} & {
        quote for question in test for quote in question.quotes
    }


@pytest.mark.skipif(
    not (HANDBOOK / "handbook").is_dir(), reason=f"no handbook in {HANDBOOK}: set SAMPLE_DATA"
)
@pytest.mark.parametrize("name", FILES)
def test_handbook_contains_the_gold_quotes(name: str) -> None:
    for question in questions(name):
        texts = [(HANDBOOK / uri).read_text(encoding="utf-8") for uri in question.relevant]
        for quote in question.quotes:
            assert any(quote in text for text in texts), f"{question.id}: {quote}"
        quoted = " ".join(question.quotes).casefold()
        assert all(words.casefold() in quoted for words in question.must_contain), question.id


REPORTS = HANDBOOK / "sec-10-q"
ROWS = (
    ("How did sales grow?", "*AAPL*", "Multi-Doc RAG"),
    (" What was the income? ", "*2023 Q3 AAPL*", "Single-Doc Single-Chunk RAG"),
    ("Who is there?", "*2023 Q3 INTC*", "Single-Doc Multi-Chunk RAG"),
)


def test_questions_about_reports_reference_existing_files(tmp_path: Path) -> None:
    for name in ("2022 Q3 AAPL.pdf", "2023 Q3 AAPL.pdf", "2023 Q3 MSFT.pdf"):
        (tmp_path / name).touch()
    lines = [",".join(row) for row in (("Question", "Source Docs", "Question Type"), *ROWS)]
    (tmp_path / TABLE).write_text("\n".join(lines), encoding="utf-8-sig")
    both, one = gold_questions_in(tmp_path)
    folder = tmp_path.name
    assert (both.id, both.kind, both.relevant) == (
        "10-q-1",
        Kind.TWO_PAGES,
        (f"{folder}/2022 Q3 AAPL.pdf", f"{folder}/2023 Q3 AAPL.pdf"),
    )
    assert (one.question, one.relevant) == ("What was the income?", (f"{folder}/2023 Q3 AAPL.pdf",))


@pytest.mark.skipif(not (REPORTS / TABLE).is_file(), reason=f"no {TABLE} in {REPORTS}: set SAMPLE_DATA")
def test_questions_about_quarterly_reports_form_a_gold_set() -> None:
    found = list(gold_questions_in(REPORTS))
    assert len(found) > 100
    assert gold_questions(question.model_dump_json() for question in found) == found
    assert all((REPORTS.parent / uri).is_file() for question in found for uri in question.relevant)
