"""Evaluation sets and their split: sets to tune on, and sets that results are reported for."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from retrieval.evaluation.gold_file import GoldQuestion, gold_questions
from tests.gold.sec_10_q import TABLE, gold_questions_in

TUNED: Final = ("product", "operations", "squad", "handbook-dev")
"""Weights, thresholds, prompts and word lists may be fitted on these."""
REPORTED: Final = ("company", "guidance", "regulations", "german", "clapnq", "handbook", "10-q")
"""Nothing may be fitted on these."""
MADE: Final = ("product", "operations", "company", "guidance", "regulations", "german")
"""Sets whose questions were written for this project."""

_SETS: Final = Path(__file__).parent / "sets"
_GOLD: Final = Path(__file__).parents[1] / "gold"
_HANDBOOK: Final = {"handbook-dev": "handbook_dev.jsonl", "handbook": "handbook_test.jsonl"}
_REPORTS: Final = "sec-10-q"
_SAMPLE_DATA: Final = Path(os.environ.get("SAMPLE_DATA") or Path(__file__).parents[3] / "shared" / "data")


@dataclass(frozen=True, slots=True)
class EvaluationDocument:
    source_uri: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class WrittenSentence:
    """A sentence that a language model wrote. `passages`: what it read, each passage with its chunks.

    `cited`: numbers of the passages that it named. `supported`: whether a passage states it.
    """

    question_id: str
    question: str
    passages: list[list[dict[str, Any]]]
    text: str
    cited: tuple[int, ...]
    supported: bool


def available_sets() -> tuple[str, ...]:
    """Return the names of sets whose documents exist: those of the handbook and 10-Q are sample data."""
    return tuple(name for name in (*TUNED, *REPORTED) if _has_documents(name))


def _has_documents(name: str) -> bool:
    if name in _HANDBOOK:
        return (_SAMPLE_DATA / "handbook").is_dir()
    return (_SAMPLE_DATA / _REPORTS / TABLE).is_file() if name == "10-q" else True


def load_questions(name: str) -> list[GoldQuestion]:
    if name == "10-q":
        return list(gold_questions_in(_SAMPLE_DATA / _REPORTS))
    path = _GOLD / _HANDBOOK[name] if name in _HANDBOOK else _SETS / name / "questions.jsonl"
    return gold_questions(path.read_text(encoding="utf-8").splitlines())


def load_tuning_questions(name: str) -> list[GoldQuestion]:
    """Load questions to fit something on. Raises ValueError for a set that results are reported for."""
    if name not in TUNED:
        message = f"“{name}” is no set to tune on; these are: {', '.join(TUNED)}"
        raise ValueError(message)
    return load_questions(name)


def load_written(name: str) -> list[WrittenSentence]:
    """Load the sentences written about a set's documents; [] if there are none."""
    path = _SETS / name / "written.jsonl"
    if not path.exists():
        return []
    answers = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [
        WrittenSentence(
            answer["id"],
            answer["question"],
            answer["passages"],
            sentence["text"],
            tuple(sentence["cited"]),
            sentence["supported"],
        )
        for answer in answers
        for sentence in answer["sentences"]
    ]


def load_tuning_sentences(name: str) -> list[WrittenSentence]:
    """Load sentences to fit something on. Raises ValueError for a set that results are reported for."""
    load_tuning_questions(name)
    return load_written(name)


def load_documents(name: str) -> Iterator[EvaluationDocument]:
    with (_SETS / name / "documents.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            yield EvaluationDocument(**json.loads(line))


def write_documents(name: str, folder: Path) -> list[Path]:
    """Write documents below `folder`; return the paths whose ingestion gives them their source_uri."""
    if name in _HANDBOOK:
        return [_SAMPLE_DATA / "handbook"]
    if name == "10-q":
        return [_link_reports(folder / _REPORTS)]
    for document in load_documents(name):
        path = folder / document.source_uri
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_with_title(document), encoding="utf-8")
    return sorted(folder.iterdir())


def _link_reports(folder: Path) -> Path:
    """Link to the reports, without the table of questions and answers beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for report in (_SAMPLE_DATA / _REPORTS).glob("*.pdf"):
        link = folder / report.name
        if not link.exists():
            link.symlink_to(report.resolve())
    return folder


def _with_title(document: EvaluationDocument) -> str:
    """Put the title into front matter if a Markdown page doesn't begin with it, as the original files do."""
    heading = re.compile(rf"\s*# +{re.escape(document.title)}\s*$", re.MULTILINE)
    if not document.source_uri.endswith(".md") or heading.match(document.text):
        return document.text
    return f"---\ntitle: {json.dumps(document.title, ensure_ascii=False)}\n---\n\n{document.text}"
