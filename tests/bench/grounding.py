"""Asks gold questions of a running server and looks up what the answers say, with rules of its own.

`python -m tests.bench.grounding URL KEY [--kb ID] [--first N]`. Each number, month, day of the week and
name inside a sentence must stand in the quotes, titles or sections that the answer cites, or in the question.
Prints what does not, and exits with 1 if anything does not.
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

GOLD = Path(__file__).resolve().parents[1] / "gold"
_MARKER = re.compile(r"(?<!\\)\[(?:\d+|\?)\]")
_ITEM = re.compile(r"(?m)^[\s>]*(?:\(?\d{1,3}[.)]\s|#{1,6}\s|[-*]\s)")
_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][\w&'’-]+")
_DAYS = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_MONTHS = "January|February|March|April|June|July|August|September|October|November|December"
_DATED = re.compile(rf"\b(?:{_DAYS}|{_MONTHS})\b")


def questions(first: int) -> list[dict[str, Any]]:
    rows = [
        json.loads(line)
        for path in sorted(GOLD.glob("*.jsonl"))
        for line in path.read_text().splitlines()
        if line
    ]
    return rows[:first]


def unsupported(answer: dict[str, Any]) -> Iterator[str]:
    text = _ITEM.sub(" ", _MARKER.sub(" ", answer["answer"])).replace("\\", "").replace("*", "")
    known = " ".join(
        [answer["question"], answer["standalone_question"]]
        + [f"{each['title']} {' '.join(each['section'])} {each['quote']}" for each in answer["citations"]]
    ).casefold()
    for pattern in (_NUMBER, _DATED, _NAME):
        edge = r"\d" if pattern is _NUMBER else r"\w"  # the 18 of 18F is a number in both
        for fact in dict.fromkeys(pattern.findall(text)):
            if not re.search(rf"(?<!{edge}){re.escape(fact.casefold())}(?!{edge})", known):
                yield fact


def ask(api: httpx.Client, row: dict[str, Any], base: str | None) -> dict[str, Any]:
    """The last of its turns."""
    conversation, answer = None, {}
    asked = [*row.get("history", []), row["question"]]
    for question in asked:
        body = {
            "question": question,
            "conversation": conversation,
            "knowledge_bases": [base] if base else None,
        }
        response = api.post("/api/v1/ask", json={name: value for name, value in body.items() if value})
        answer = response.raise_for_status().json()
        conversation = answer["conversation"]
    return answer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("url")
    parser.add_argument("key")
    parser.add_argument("--kb")
    parser.add_argument("--first", type=int, default=1000)
    options = parser.parse_args()
    headers = {"Authorization": f"Bearer {options.key}"}
    modes: Counter[str] = Counter()
    found = 0
    with httpx.Client(base_url=options.url, headers=headers, timeout=180) as api:
        for row in questions(options.first):
            answer = ask(api, row, options.kb)
            modes[f"{answer['mode']}, {answer['verdict']}"] += 1
            for fact in unsupported(answer):
                found += 1
                sys.stdout.write(
                    f"{row['id']} [{answer['mode']}]: “{fact}”\n    {answer['answer'][:500]!r}\n"
                )
    sys.stdout.write(f"{found} unsupported in {sum(modes.values())} answers: {dict(modes)}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
