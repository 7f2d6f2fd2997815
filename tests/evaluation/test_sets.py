"""Labels fit their documents, length gives no answer away, and no reported set is tuned on."""

import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from tests.evaluation.agreement import cohens_kappa
from tests.evaluation.fit import fit_shipped
from tests.evaluation.intervals import estimate_auc
from tests.evaluation.sets import (
    MADE,
    REPORTED,
    TUNED,
    available_sets,
    load_documents,
    load_questions,
    load_tuning_questions,
    write_documents,
)

ROOT = Path(__file__).resolve().parents[2]
STORED = (*MADE, "clapnq", "squad")
MIN_WORDS = 5  # shorter questions occur elsewhere by chance


def collapse(text: str) -> str:
    return " ".join(text.split()).casefold()


def split_words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.casefold())


@pytest.mark.parametrize("name", STORED)
def test_labels_occur_in_the_documents(name: str) -> None:
    texts = {each.source_uri: collapse(f"{each.title}\n{each.text}") for each in load_documents(name)}
    for question in load_questions(name):
        relevant = [texts[uri] for uri in question.relevant]
        for text in (*question.quotes, *question.must_contain):
            assert any(collapse(text) in page for page in relevant), f"{question.id}: {text}"


@pytest.mark.parametrize("name", STORED)
def test_documents_are_written_under_their_addresses(name: str, tmp_path: Path) -> None:
    for path in write_documents(name, tmp_path):
        assert path.parent == tmp_path
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {document.source_uri for document in load_documents(name)}


@pytest.mark.parametrize("name", STORED)
def test_each_set_states_source_and_licence(name: str) -> None:
    text = (ROOT / "tests" / "evaluation" / "sets" / name / "README.md").read_text(encoding="utf-8")
    assert re.search(r"<https://github\.com/[\w.-]+/[\w.-]+>", text)
    assert re.search(r"\b[0-9a-f]{40}\b", text)
    assert "Licence:" in text or "not\n  protected by copyright" in text


@pytest.mark.parametrize("name", MADE)
def test_question_length_does_not_predict_answerability(name: str) -> None:
    lengths: dict[bool, list[float]] = {True: [], False: []}
    for question in load_questions(name):
        lengths[question.answerable].append(len(question.question.split()))
    auc = estimate_auc(lengths[True], lengths[False])
    assert auc.low <= 0.5 <= auc.high, auc


def test_sets_are_either_tuned_on_or_reported() -> None:
    assert not set(TUNED) & set(REPORTED)
    stored = {path.name for path in (ROOT / "tests" / "evaluation" / "sets").iterdir()}
    assert stored == set(STORED) <= {*TUNED, *REPORTED}


@pytest.mark.parametrize("name", REPORTED)
def test_reported_sets_cannot_be_loaded_for_tuning(name: str) -> None:
    with pytest.raises(ValueError, match="no set to tune on"):
        load_tuning_questions(name)


def test_weights_are_not_fitted_on_results_of_reported_sets() -> None:
    with pytest.raises(ValueError, match="no sets to tune on: company"):
        fit_shipped({"product": [], "company": []})


def test_shipped_weights_were_fitted_on_sets_to_tune_on() -> None:
    shipped = json.loads((files("retrieval.answering.answerability") / "calibration.json").read_bytes())
    for calibration in shipped:
        assert calibration["fitted_on"]
        for name in calibration["fitted_on"]:
            assert load_tuning_questions(name)


def tracked_texts() -> Iterator[tuple[str, list[str]]]:
    """Yield the words of each tracked text file."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no checkout")
    for name in filter(None, listed.stdout.split("\0")):
        try:
            yield name, split_words((ROOT / name).read_text(encoding="utf-8"))
        except (UnicodeDecodeError, OSError):  # a picture, or a file that was deleted
            continue


def is_home(file: str, name: str) -> bool:
    return file.startswith("tests/gold/" if name == "handbook" else f"tests/evaluation/sets/{name}/")


def test_reported_questions_occur_nowhere_else() -> None:
    """Neither in code, prompts and word lists nor in tests and docs."""
    openings = defaultdict(list)
    for name in sorted(set(REPORTED).intersection(available_sets())):
        for question in load_questions(name):
            if len(words := split_words(question.question)) >= MIN_WORDS:
                openings[tuple(words[:3])].append((name, words))
    found = [
        f"{file}: {' '.join(words)}"
        for file, text in tracked_texts()
        for at, opening in enumerate(zip(text, text[1:], text[2:], strict=False))
        for name, words in openings.get(opening, ())
        if text[at : at + len(words)] == words and not is_home(file, name)
    ]
    assert not found, "\n".join(found)


def test_kappa_of_a_textbook_example() -> None:
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    assert cohens_kappa(pairs) == pytest.approx(0.4)
    assert cohens_kappa([("yes", "yes")]) == 1
