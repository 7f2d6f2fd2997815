"""Agreement of two labellings of a set's questions: `python -m tests.evaluation.agreement SET JUDGED.jsonl`.

Each line of the second file has an `id`, a `label` (answerable, near_miss or absent) and `relevant`.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from retrieval.evaluation.gold_file import GoldQuestion, Kind
from tests.evaluation.intervals import estimate_share
from tests.evaluation.sets import load_questions

LABELS: Final = ("answerable", "near_miss", "absent")

Pairs = Sequence[tuple[str, str]]


def label_of(question: GoldQuestion) -> str:
    if question.answerable:
        return "answerable"
    return "near_miss" if question.kind == Kind.NEAR_MISS else "absent"


def cohens_kappa(pairs: Pairs) -> float:
    """Return how far two labellings agree beyond chance; 1.0 if both use the same single label."""
    first, second = (Counter(pair[side] for pair in pairs) for side in (0, 1))
    chance = sum(first[label] * second[label] for label in first) / len(pairs) ** 2
    return 1.0 if chance == 1 else (sum(a == b for a, b in pairs) / len(pairs) - chance) / (1 - chance)


def describe_agreement(questions: Sequence[GoldQuestion], judged: Mapping[str, Mapping[str, Any]]) -> str:
    both = [question for question in questions if question.id in judged]
    pairs = [(label_of(question), str(judged[question.id]["label"])) for question in both]
    counts = Counter(pairs)
    lines = [
        f"{len(both)} of {len(questions)} questions have two labels.",
        f"three labels:           {_summary(pairs)}",
        f"answerable or not:      {_summary([(_answerable(a), _answerable(b)) for a, b in pairs])}",
        f"share a relevant page:  {_shared_pages(both, judged)}",
        "",
        " ".join(f"{text:>12}" for text in ("first/second", *LABELS)),
        *(" ".join([f"{a:>12}", *(f"{counts[a, b]:>12}" for b in LABELS)]) for a in LABELS),
        "",
        *(
            f"{question.id}: {a} / {b}: {question.question} ({judged[question.id].get('why', '')})"
            for question, (a, b) in zip(both, pairs, strict=True)
            if a != b
        ),
    ]
    return "\n".join(lines)


def _summary(pairs: Pairs) -> str:
    share = estimate_share([a == b for a, b in pairs])
    if share is None:
        return "none"
    return f"{share.value:.1%} agree ({share.low:.1%} to {share.high:.1%}), kappa {cohens_kappa(pairs):.3f}"


def _answerable(label: str) -> str:
    return "answerable" if label == "answerable" else "not"


def _shared_pages(questions: Sequence[GoldQuestion], judged: Mapping[str, Mapping[str, Any]]) -> str:
    """Count questions whose labellings share a page, among those that both call answerable."""
    both = [each for each in questions if each.answerable and judged[each.id]["label"] == "answerable"]
    same = [bool(set(each.relevant) & set(judged[each.id]["relevant"])) for each in both]
    return f"{sum(same)} of {len(same)} that both call answerable"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", help="name of a set")
    parser.add_argument("judged", type=Path, help="second labelling, one JSON object per line")
    chosen = parser.parse_args()
    rows = [json.loads(line) for line in chosen.judged.read_text(encoding="utf-8").splitlines() if line]
    judged = {row["id"]: row for row in rows}
    sys.stdout.write(describe_agreement(load_questions(chosen.set), judged) + "\n")


if __name__ == "__main__":
    main()
