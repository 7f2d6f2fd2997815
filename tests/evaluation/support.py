"""Measures the sentence check: generated sentences, true ones with one change, and joined halves of two."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from random import Random
from typing import Final

from rich.table import Column, Table

from cairn.inference.embedding import open_embedder
from cairn.inference.embedding.cache import CachingEmbedder
from cairn.inference.protocols import Embedder, Reranker
from cairn.inference.reranking import open_reranker
from cairn.settings import environment
from cairn.settings.env import PACKAGED_RERANKER
from retrieval.answering.grounding.check import SentenceChecker
from retrieval.answering.prompts.evidence import Passage
from retrieval.answering.text.blocks import sentences_in, split_blocks
from tests.evaluation.intervals import estimate_share
from tests.evaluation.joined_sentences import draw_joined
from tests.evaluation.sets import REPORTED, TUNED, WrittenSentence, load_documents, load_written
from tests.retrieval.answering.builders import make_hit
from tests.retrieval.answering.changes import Change, changes_of

CHANGED_SETS: Final = {
    "tuned": ("product", "operations", "squad"),
    "reported": ("company", "guidance", "regulations", "clapnq"),
}
"""Sets in English, whose sentences are changed."""
_GROUPS: Final = {
    "number": ("number in digits", "number in words", "ordinal", "digits as another word", "unit"),
    "name": ("name",),
    "date": ("year", "month", "day of the week"),
    "negation": (
        "denial added",
        "denial dropped",
        "denial dropped from a contraction",
        "denial reversed",
    ),
    "only, except": (
        "only added",
        "only added inside",
        "only dropped",
        "exception dropped",
        "exception reversed",
    ),
}
CHANGES_PER_GROUP: Final = 100
JOINED_PER_GROUP: Final = 100
_PASSAGE_CHARACTERS: Final = 1200
_PATIENCE_SECONDS: Final = 60.0
_WORDS: Final = range(5, 41)  # of a sentence that is changed


@dataclass(frozen=True, slots=True)
class Checked:
    """`group`: what was changed, or whether a passage states the sentence."""

    group: str
    text: str
    original: str
    passed: bool


@dataclass(frozen=True, slots=True)
class ChangedSentence:
    group: str
    change: Change
    title: str
    passage: str


def check_sets(names: Sequence[str]) -> list[tuple[str, Checked]]:
    """Check sentences written about these sets, and changed and joined ones of tuned and reported sets."""
    embedder, reranker = open_embedder(environment()), open_packaged_reranker()
    written = [(name, each) for name in names for each in check_written(name, embedder, reranker)]
    changed = [
        (f"changed, {part}", each)
        for part, sets in CHANGED_SETS.items()
        if set(sets) <= set(names)
        for each in check_changed(part, CHANGES_PER_GROUP, embedder, reranker)
    ]
    joined = [
        (f"joined, {part}", each)
        for part, sets in CHANGED_SETS.items()
        if set(sets) <= set(names)
        for each in check_joined(part, JOINED_PER_GROUP, embedder, reranker)
    ]
    return [*written, *changed, *joined]


def open_packaged_reranker() -> Reranker:
    """Open the reranker with a deadline that even a busy machine meets."""
    settings = environment().model_copy(
        update={"reranker_model": PACKAGED_RERANKER, "reranker_timeout_seconds": _PATIENCE_SECONDS}
    )
    return open_reranker(settings)


def check_written(name: str, embedder: Embedder, reranker: Reranker) -> Iterator[Checked]:
    for written in load_written(name):
        group = "true" if written.supported else "false"
        yield Checked(group, written.text, "", passes(written, embedder, reranker))


def passes(written: WrittenSentence, embedder: Embedder, reranker: Reranker) -> bool:
    evidence = [
        Passage(number, tuple(make_hit(**hit) for hit in hits), "\n".join(hit["text"] for hit in hits))
        for number, hits in enumerate(written.passages, 1)
    ]
    checker = _build_checker(evidence, written.question, embedder, reranker)
    return bool(checker.check(written.text, written.cited).grounds)


def check_changed(part: str, count: int, embedder: Embedder, reranker: Reranker) -> Iterator[Checked]:
    """Check `count` changed sentences of each group, and each sentence as it was."""
    for drawn in draw_changes(CHANGED_SETS[part], count, seed=1):
        evidence = [Passage(1, (make_hit(drawn.passage, title=drawn.title),), drawn.passage)]
        checker = _build_checker(evidence, drawn.title, embedder, reranker)
        change = drawn.change
        for group, text in (("unchanged", change.original), (drawn.group, change.text)):
            yield Checked(group, text, change.original, bool(checker.check(text, [1]).grounds))


def draw_changes(names: Sequence[str], count: int, seed: int) -> list[ChangedSentence]:
    """Draw sentences of documents at random, and change one word in each. No sentence is drawn twice.

    Of each group, `count`; of each kind in it as many as of the others, if there are enough.
    """
    random = Random(seed)
    sentences = [each for name in names for each in find_sentences(name)]
    random.shuffle(sentences)
    found: dict[str, list[ChangedSentence]] = {group: [] for group in _GROUPS}
    kinds = Counter[str]()
    used = set[str]()
    for is_last in (False, True):
        for title, passage, sentence in sentences:
            changes = [] if sentence in used else list(changes_of(sentence, passage, random))
            random.shuffle(changes)
            for change in changes:
                group = _group_of(change)
                most = count if is_last else count // len(_GROUPS[group])
                if len(found[group]) < count and kinds[change.kind] < most:
                    found[group].append(ChangedSentence(group, change, title, passage))
                    kinds[change.kind] += 1
                    used.add(sentence)
                    break
    return [each for drawn in found.values() for each in drawn]


def check_joined(part: str, count: int, embedder: Embedder, reranker: Reranker) -> Iterator[Checked]:
    """Check up to `count` sentences of each group, as an answer about what their subject or object is."""
    sentences = [each for name in CHANGED_SETS[part] for each in find_sentences(name)]
    for drawn in draw_joined(sentences, count, seed=1):
        evidence = [Passage(1, (make_hit(drawn.passage, title=drawn.title),), drawn.passage)]
        checker = _build_checker(evidence, f"What about {drawn.topic}?", embedder, reranker)
        yield Checked(drawn.group, drawn.text, drawn.passage, bool(checker.check(drawn.text, [1]).grounds))


def _group_of(change: Change) -> str:
    return next(group for group, kinds in _GROUPS.items() if change.kind in kinds)


def find_sentences(name: str) -> Iterator[tuple[str, str, str]]:
    """Yield title, passage and sentence, once for each sentence."""
    seen: set[str] = set()
    for document in load_documents(name):
        for passage in _cut_passages(document.text):
            for block in split_blocks(passage):
                for span in sentences_in(passage, block):
                    sentence = " ".join(passage[span.start : span.end].split())
                    if sentence not in seen and _is_prose(sentence):
                        seen.add(sentence)
                        yield document.title, passage, sentence


def _is_prose(sentence: str) -> bool:
    return sentence.endswith(".") and sentence[0].isupper() and len(sentence.split()) in _WORDS


def _cut_passages(text: str) -> Iterator[str]:
    """Yield neighbouring blocks together, up to _PASSAGE_CHARACTERS unless a block is longer."""
    blocks = split_blocks(text)
    lengths = _running_parts([block.end - block.start for block in blocks])
    for _, run in groupby(zip(lengths, blocks, strict=True), key=lambda pair: pair[0]):
        inside = [block for _, block in run]
        yield text[inside[0].start : inside[-1].end]


def _running_parts(lengths: Iterable[int]) -> Iterator[int]:
    part = total = 0
    for length in lengths:
        if total and total + length > _PASSAGE_CHARACTERS:
            part, total = part + 1, 0
        total += length
        yield part


def _build_checker(
    evidence: Sequence[Passage], question: str, embedder: Embedder, reranker: Reranker
) -> SentenceChecker:
    caching = CachingEmbedder(embedder)
    return SentenceChecker(evidence, caching, question=question, reason_language="en", reranker=reranker)


def build_support_table(found: Sequence[tuple[str, Checked]]) -> Table:
    """Return a table of what passes, by set or part and by group."""
    table = Table(Column("sentences", no_wrap=True), "group", "count", "passed", "share", "interval")
    for (name, group), checked in _by_group(found).items():
        share = estimate_share([each.passed for each in checked])
        assert share is not None
        passed = sum(each.passed for each in checked)
        interval = f"{share.low:.3f} to {share.high:.3f}"
        table.add_row(name, group, str(len(checked)), str(passed), f"{share.value:.3f}", interval)
    return table


def _by_group(found: Sequence[tuple[str, Checked]]) -> dict[tuple[str, str], list[Checked]]:
    """Add each sentence to its group, and to that of all sets tuned on or reported, or of all changes."""
    groups: dict[tuple[str, str], list[Checked]] = {}
    for name, checked in found:
        part = next((f"all {part}" for part, sets in _PARTS.items() if name in sets), name)
        whole = (
            "all changes" if name.startswith("changed") and checked.group != "unchanged" else checked.group
        )
        for key in dict.fromkeys([(name, checked.group), (part, whole)]):
            groups.setdefault(key, []).append(checked)
    return groups


_PARTS: Final = {"tuned": TUNED, "reported": REPORTED}
