import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ingestion.parse.sandbox.pool import Limits, _ChildPool, _Request

Judge = Callable[[Sequence[str]], dict[str, Any]]
CASES = {
    "Leave is applied for early. It has to be granted first.": True,
    "Leave is applied for (in writing). Then it has to be granted!": True,
    "Leave is applied for early, and it has to be granted first.": False,
    "Leave is granted by Dr. Miller of the second floor": False,
    "Leave is applied for early. Good luck.": False,
    "1.5 + 3.5 = 5.0 ; 4.5 + 5.5 = 10.0. 6.5 + 7.5 = 14.0": False,
    "   ": False,
    "": False,
}
PIECES = (
    *("the", "is", "of", "leave", "Offices", "self-service", "Mr.", "e.g.", "approx.", "etc.", "U.S.", "5."),
    *(
        "ends.",
        "Ends.",
        "well-known.",
        "(inside).",
        '"said."',
        "why?",
        "now!",
        "yes.)",
        "so...",
        "it.",
        "3.5",
    ),
    *("\u201cquoted\u201d", "it\u2019s", "(an", "aside)", "-", "\u2013", "$30", "&", "\u2026", "end.Next"),
    *("www.example.org", "end\u3002", "\u7d42\u308f\u308a\u3002", ":)"),
)


@pytest.fixture
def judge(tmp_path: Path) -> Iterator[Judge]:
    document = tmp_path / "texts"
    lane = _ChildPool("tests.ingestion.parse.probe_narrative", 1, tmp_path / "scratch")

    def _judge(texts: Sequence[str]) -> dict[str, Any]:
        document.write_text(json.dumps(texts))
        return lane.ask(_Request(document, {}, Limits())).result()

    yield _judge
    lane.close()


def test_text_with_two_long_sentences_is_narrative(judge: Judge) -> None:
    verdicts = judge(list(CASES))
    assert dict(zip(CASES, verdicts["ours"], strict=False)) == CASES


def test_narrative_judgement_matches_unstructured(judge: Judge) -> None:
    chance = random.Random(1)
    verdicts = judge([" ".join(chance.choices(PIECES, k=chance.randint(2, 14))) for _ in range(4000)])
    assert verdicts["ours"] == verdicts["theirs"]
    assert 100 < sum(verdicts["ours"]) < len(verdicts["ours"]) - 100
