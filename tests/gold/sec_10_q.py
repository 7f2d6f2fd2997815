"""Questions about quarterly reports (10-Q) as gold questions, from the table that lies beside the reports:

    python -m tests.gold.sec_10_q FOLDER > 10-q.jsonl
    manage.py ingest FOLDER/*.pdf --kb 10-q --wait
    manage.py evaluate 10-q.jsonl --kb 10-q

They tell which documents answer, but not which words: retrieval, citations and refusals are measured. The
table itself stays out: it holds the questions word for word.
"""

import csv
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from retrieval.evaluation.gold_file import GoldQuestion, Kind

TABLE: Final = "qna_data.csv"
SEVERAL: Final = "Multi-Doc RAG"


def gold_questions_in(folder: Path) -> Iterator[GoldQuestion]:
    """Questions about reports that are not in the folder are left out."""
    reports = sorted(path.name for path in folder.glob("*.pdf"))
    with (folder / TABLE).open(encoding="utf-8-sig", newline="") as table:
        for number, row in enumerate(csv.DictReader(table), 1):
            relevant = _matching(row["Source Docs"], reports)
            if relevant:
                yield GoldQuestion(
                    id=f"10-q-{number}",
                    question=row["Question"].strip(),
                    kind=Kind.TWO_PAGES if row["Question Type"] == SEVERAL else Kind.PARAPHRASE,
                    relevant=tuple(f"{folder.name}/{report}" for report in relevant),
                )


def _matching(patterns: str, reports: list[str]) -> list[str]:
    """Expand patterns: `*AAPL*` selects all reports of that company; several patterns are separated by
    commas."""
    wanted = [pattern.strip() for pattern in patterns.split(",") if pattern.strip()]
    return [report for report in reports if any(fnmatchcase(report, pattern) for pattern in wanted)]


def main() -> None:
    for question in gold_questions_in(Path(sys.argv[1]).resolve()):
        sys.stdout.write(question.model_dump_json() + "\n")


if __name__ == "__main__":
    main()
