import json
from pathlib import Path

import pytest

from cairn.errors import InvalidInput
from retrieval.evaluation.gold import GoldQuestion, Kind, gold_questions
from tests.environment import GIVEN

GOLD = Path(__file__).resolve().parents[2] / "gold"
HANDBOOK = Path(GIVEN["SAMPLE_DATA"] or GOLD.parents[2] / "shared" / "data")
FILES = ("handbook_dev.jsonl", "handbook_test.jsonl")


def line(**fields: object) -> str:
    return json.dumps({"id": "a", "question": "How many days?", **fields})


def test_a_line_is_a_question() -> None:
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
        ([" "], "There are no questions in it."),
        (["x"] * 9, "(and 4 more)"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(lines: list[str], message: str) -> None:
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
def test_the_handbook_says_what_the_gold_set_quotes(name: str) -> None:
    for question in questions(name):
        texts = [(HANDBOOK / uri).read_text(encoding="utf-8") for uri in question.relevant]
        for quote in question.quotes:
            assert any(quote in text for text in texts), f"{question.id}: {quote}"
        said = " ".join(question.quotes).casefold()
        assert all(words.casefold() in said for words in question.must_contain), question.id
