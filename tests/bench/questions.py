"""Questions to the handbook, for timing; what they find is not judged here."""

import json
from collections.abc import Iterator
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]

HANDBOOK = (
    "How do I donate annual leave to a colleague with a medical emergency?",
    "Who approves travel?",
    "How many hours of sick leave do I earn per pay period?",
    "What do I do when my laptop is lost or stolen?",
    "How do I request a new software tool?",
    "What is the transit subsidy?",
    "How do I get reimbursed for travel expenses?",
    "When are performance reviews held?",
    "What are the core working hours?",
    "How do I report harassment?",
    "Can I work from another country?",
    "How do I sign up for health insurance?",
    "What does a supervisor do in the first week of a new hire?",
    "How do I use a purchase card?",
    "Where do I find my leave balance?",
    "How do I invite guests to the office?",
    "What is a grade increase within a band?",
    "How do I ask for a reasonable accommodation?",
    "What happens when the government shuts down?",
    "How do I leave the organisation?",
)


def many() -> list[str]:
    """Return all questions of the tests, each once."""
    return list(dict.fromkeys([*HANDBOOK, *_sampled(), *_gold()]))


def _sampled() -> Iterator[str]:
    path = _TESTS / "bench" / "data" / "handbook_questions.json"
    return (row["question"] for row in json.loads(path.read_text(encoding="utf-8")))


def _gold() -> Iterator[str]:
    for path in sorted((_TESTS / "gold").glob("handbook_*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)["question"]
