"""Search, answers and refusals on the evaluation sets, as a table with 95 % confidence intervals.

`python -m tests.evaluation [--sets company,german] [--sample 40] [--judgements] [--json FILE]`, or with
`--support` how well the sentences of answers are checked. Each set has
an installation of its own in var/evaluation, which stays: documents are ingested again only after a change to
the embedding model or to how documents are read.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Final

import django
from rich.console import Console

from retrieval.evaluation.gold_file import GoldQuestion
from tests.evaluation.curve import write_curves
from tests.evaluation.results import Result
from tests.evaluation.sets import available_sets, load_questions
from tests.evaluation.table import build_report, build_table, read_report
from tests.shared_models import share_models

ROOT: Final = Path(__file__).resolve().parents[2]
_INDEXING: Final = ("ingestion/parse", "ingestion/chunking", "ingestion/indexing", "retrieval/search/bm25.py")
_MODELS: Final = ("EMBEDDING_MODEL", "EMBEDDING_BASE_URL", "EMBEDDING_BACKEND", "VECTOR_INDEX")
_WIDTH: Final = 210


def index_identity() -> str:
    """Return a digest of what decides how documents are indexed."""
    digest = sha256(json.dumps([os.environ.get(name, "") for name in _MODELS]).encode())
    for part in _INDEXING:
        for file in sorted((ROOT / part).rglob("*.py") if (ROOT / part).is_dir() else [ROOT / part]):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def draw_questions(name: str, sample: int | None, seed: int) -> list[GoldQuestion]:
    """Return a random sample in the order of the file, or all questions."""
    questions = load_questions(name)
    if sample is None or sample >= len(questions):
        return questions
    drawn = Random(f"{seed} {name}").sample(range(len(questions)), sample)
    return [questions[at] for at in sorted(drawn)]


def ask_here(chosen: argparse.Namespace) -> None:
    """Ask one set in this process, whose DATA_DIR is the set's, and write the results."""
    django.setup()
    asking = import_module("tests.evaluation.asking")  # imports models, which need the settings
    (name,) = chosen.sets
    folder = Path(os.environ["DATA_DIR"]).parent
    questions = draw_questions(name, chosen.sample, chosen.seed)
    results = asking.ask_set(name, questions, folder / "documents", judgements=chosen.judgements)
    rows = [result.model_dump(mode="json") for result in results]
    chosen.write_results.write_text(json.dumps(rows), encoding="utf-8")
    sys.stderr.flush()
    os._exit(0)  # threads in the models' libraries cannot be stopped and would crash at exit


def check_support_here(names: Sequence[str]) -> None:
    """Check written and changed sentences in this process, and print the table."""
    folder = ROOT / "var" / "evaluation" / "support"
    share_models(folder)
    os.environ |= {"DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "cairn.settings.django"}
    django.setup()
    support = import_module("tests.evaluation.support")  # imports models, which need the settings
    Console(width=_WIDTH).print(support.build_support_table(support.check_sets(names)))
    sys.stdout.flush()
    os._exit(0)  # threads in the models' libraries cannot be stopped and would crash at exit


def ask_set_apart(name: str, chosen: argparse.Namespace, arguments: Sequence[str]) -> list[Result]:
    """Ask a set in a process of its own, because the settings of a process name one DATA_DIR."""
    folder = ROOT / "var" / "evaluation" / index_identity() / name
    share_models(folder / "data")
    written = folder / "results.json"
    settings = {"DATA_DIR": str(folder / "data"), "DJANGO_SETTINGS_MODULE": "cairn.settings.django"}
    model = {"LLM_MODEL": chosen.model} if chosen.model else {}
    sys.stderr.write(f"{name}\n")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.evaluation",
            *arguments,
            "--sets",
            name,
            "--write-results",
            str(written),
        ],
        env={**os.environ, **settings, **model},
        cwd=ROOT,
        check=True,
    )
    return [Result.model_validate(row) for row in json.loads(written.read_text(encoding="utf-8"))]


def parse_sets(text: str) -> list[str]:
    names = text.split(",")
    if unknown := sorted(set(names) - set(available_sets())):
        message = f"no such sets: {', '.join(unknown)}; there are {', '.join(available_sets())}"
        raise argparse.ArgumentTypeError(message)
    return names


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make evaluate", description=__doc__)
    parser.add_argument(
        "--sets", type=parse_sets, default=list(available_sets()), help="names with commas between"
    )
    parser.add_argument("--sample", type=int, help="ask only so many questions of each set, drawn at random")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--model", help="language model: path of a GGUF file, or name at LLM_BASE_URL")
    parser.add_argument("--judgements", action="store_true", help="search and judge, but write no answers")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write measures and results to this file too"
    )
    parser.add_argument(
        "--load", type=Path, metavar="FILE", help="show results of an earlier --json; ask nothing"
    )
    parser.add_argument("--curve", type=Path, metavar="FILE.svg", help="draw the refusal curves")
    parser.add_argument("--support", action="store_true", help="measure only how sentences are checked")
    parser.add_argument("--write-results", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    chosen = parse_arguments(arguments)
    if chosen.write_results:
        ask_here(chosen)
    if chosen.support:
        check_support_here(chosen.sets)
    if chosen.load:
        results = read_report(json.loads(chosen.load.read_text(encoding="utf-8")))
    else:
        results = {name: ask_set_apart(name, chosen, arguments) for name in chosen.sets}
    if chosen.json:
        report = json.dumps(build_report(results), ensure_ascii=False, indent=1)
        chosen.json.write_text(report, encoding="utf-8")
    if chosen.curve:
        write_curves(chosen.curve, results)
    Console(width=_WIDTH).print(build_table(results))


if __name__ == "__main__":
    main(sys.argv[1:])
