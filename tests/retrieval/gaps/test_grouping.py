"""The likeness from which on questions count as one: see docs/decisions/gaps.md."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from cairn.inference.registry import embedder
from retrieval.gaps.clusters import MIN_GROUPING_COSINE

GOLD = Path(__file__).resolve().parents[2] / "gold"
HANDBOOK = ("handbook_dev.jsonl", "handbook_test.jsonl")


def lines(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (GOLD / name).read_text(encoding="utf-8").splitlines()]


def asked() -> list[tuple[str, str]]:
    """Return (id, text) of each self-contained gold question and of its paraphrases."""
    gold = {
        str(row["id"]): str(row["question"]) for name in HANDBOOK for row in lines(name) if not row["history"]
    }
    others = [
        (str(row["id"]), text) for row in lines("paraphrases.jsonl") for text in list(row["paraphrases"])
    ]  # type: ignore[call-overload]
    assert {identity for identity, _ in others} <= gold.keys()
    return [*gold.items(), *others]


@pytest.mark.slow
@pytest.mark.models
def test_paraphrases_are_similar_and_other_questions_are_not() -> None:
    items = asked()
    vectors = np.stack([embedder().embed_query(text) for _, text in items])
    likeness = vectors @ vectors.T
    pairs = [
        (items[i][0] == items[j][0], likeness[i, j] >= MIN_GROUPING_COSINE)
        for i, j in combinations(range(len(items)), 2)
    ]
    same = [alike for is_same, alike in pairs if is_same]
    other = [alike for is_same, alike in pairs if not is_same]
    assert sum(same) / len(same) > 0.75
    assert sum(other) <= 2
