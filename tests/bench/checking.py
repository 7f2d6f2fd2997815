"""Measures the cost of the sentence check.

`python -m tests.bench.checking TOKENS` in a DATA_DIR with the handbook.

A model says what the passages say, and now and then what those of another question say. Evidence, embedder
and judge are those of answers, so what is embedded before the first sentence comes is not counted twice.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import django

from tests.bench import server as servers
from tests.bench.figures import Figure, percentile
from tests.bench.handbook import handbook_install
from tests.bench.questions import many
from tests.bench.served_model import sentences_of

SMALL, LARGE = 500, 2730  # tokens of evidence: for the packaged model, and a third of 8192
QUESTIONS: Final = 80
WARM_UP: Final = 5
TARGET_MS: Final = 50


def check_figures(folder: Path) -> Iterator[Figure]:
    data_dir = handbook_install(folder)
    for tokens in (SMALL, LARGE):
        prepared, first, later = _measured(data_dir, tokens)
        every = [*first, *later]
        name = f"sentence check, {tokens} tokens of evidence"
        yield Figure(f"{name}: p50", percentile(every, 0.5), "ms", TARGET_MS)
        yield Figure(f"{name}: p95", percentile(every, 0.95), "ms", TARGET_MS)
        yield Figure(f"{name}: first of an answer, p50", percentile(first, 0.5), "ms")
        yield Figure(f"{name}: first of an answer, p95", percentile(first, 0.95), "ms", TARGET_MS)
        yield Figure(f"{name}: preparing it while the model reads, p50", percentile(prepared, 0.5), "ms")
        yield Figure(f"{name}: preparing it while the model reads, p95", percentile(prepared, 0.95), "ms")
        yield Figure(f"{name}: later ones, p95", percentile(later, 0.95), "ms", TARGET_MS)


def _measured(data_dir: Path, tokens: int) -> tuple[list[float], list[float], list[float]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.checking", str(tokens)],
        env={**servers.environment(data_dir), "DJANGO_SETTINGS_MODULE": "cairn.settings.django"},
        cwd=servers.ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    prepared, first, later = json.loads(done.stdout)
    return prepared, first, later


def check_times(tokens: int, questions: Sequence[str]) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds of making ready for each answer, of its first sentence, and of the later ones."""
    from cairn.access.principals import principal_for_user
    from cairn.access.selectors import scope_for
    from cairn.accounts.models import User
    from cairn.inference.embedding.cache import CachingEmbedder
    from retrieval.answering.answerability.rules import RuleAnswerability
    from retrieval.answering.grounding.check import SentenceChecker
    from retrieval.answering.prompts.evidence import build_passages, deduplicate
    from retrieval.answering.text.lexicon import language_of
    from retrieval.conversations.ask import EVIDENCE_HITS
    from retrieval.engine import get_engine
    from retrieval.search.hybrid_search import search

    scope = scope_for(principal_for_user(User.objects.get(username="admin")))
    parts, foreign = get_engine(), ["The shuttle leaves at nine every morning."]
    prepared, first, later = list[float](), list[float](), list[float]()
    for question in questions:
        embedder = CachingEmbedder(parts.embedder)
        hits = deduplicate(search(question, scope=scope, limit=EVIDENCE_HITS, engine=parts))
        RuleAnswerability(embedder).judge(question, hits)
        evidence = build_passages(hits, budget=tokens, count_tokens=parts.chat.count_tokens)
        checker = SentenceChecker(
            evidence, embedder, question=question, reason_language=language_of(question)
        )
        began = time.perf_counter()
        checker.prepare()
        prepared.append((time.perf_counter() - began) * 1000)
        own = [unit for passage in evidence for unit in sentences_of(passage.number, passage.text)][:4]
        for at, (number, sentence) in enumerate([*own, (1, foreign[0])]):
            began = time.perf_counter()
            checker.check(f"In short, {sentence}", [number])  # a mere copy has been embedded already
            (later if at else first).append((time.perf_counter() - began) * 1000)
        foreign = [sentence for _, sentence in own] or foreign
    return prepared[WARM_UP:], first[WARM_UP:], later[WARM_UP:]


def main() -> None:
    django.setup()
    from retrieval.index.generations import close_index

    times = check_times(int(sys.argv[1]), many()[:QUESTIONS])
    close_index()
    sys.stdout.write(json.dumps(times))


if __name__ == "__main__":
    main()
