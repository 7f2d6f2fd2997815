"""Text of eight times the length takes about eight times as long, whatever it is made of."""

import time
from collections.abc import Callable

import pytest

from cairn.accounts.confusable_names import acceptable_name, name_skeleton
from cairn.hidden_characters import visible
from ingestion.documents.upload import clean_filename
from retrieval.answering.grounding.names import unsupported_names
from retrieval.answering.grounding.quantities import unsupported_figures
from retrieval.answering.grounding.restrictions import restricts_otherwise
from retrieval.answering.prompts.prompt import neutralize
from retrieval.answering.query.decompose import split_question
from retrieval.answering.text.citation_markers import strip_markers
from retrieval.answering.text.markdown_filter import escape_brackets, format_code_block, sanitize_markdown
from retrieval.answering.text.sentences import split_sentences
from retrieval.search.query_expansion import other_spellings
from tests.web.security.attacks.recorder import Attack
from web.presentation.markdown import render_markdown

SEEDS = [
    "<!--", "x<!--", "![", "[a](", "<a ", "<http:", "`", "``` ", '" ', "<|", "\\", "\\<", "[1", "[ ",
    "(", ")", "~", "\u200d", " ", "\t", "\n", "a", "1", "1. ", "- ", "a. ", "a, ", "a? ", "*", "_", "> ",
    "# ", "for a and for ", "for a ", "for a and ", "only ", "a-", "|a",
]  # fmt: skip
SMALL, TIMES = 1_250, 8
MOST = 4 * TIMES
"""Linear time gives a ratio of about 8, quadratic 64. The margin is for a machine that is busy."""
NOISE_SECONDS = 0.005

FUNCTIONS: dict[str, Callable[[str], object]] = {
    "cleaning what a model writes": sanitize_markdown,
    "escaping what a model writes": escape_brackets,
    "putting a passage into a prompt": neutralize,
    "quoting code": format_code_block,
    "taking out citations": strip_markers,
    "splitting an answer into sentences": split_sentences,
    "splitting a question into its parts": split_question,
    "other spellings of a query": other_spellings,
    "removing hidden characters": visible,
    "showing Markdown": lambda text: render_markdown(text, {}),
    "comparing restrictions": lambda text: restricts_otherwise(text, [text], "en"),
    "comparing names": lambda text: unsupported_names(text, "Anna", "en"),
    "comparing figures": lambda text: unsupported_figures(text, "1 day"),
    "cleaning a file name": clean_filename,
    "comparing user names": name_skeleton,
    "finding an acceptable user name": acceptable_name,
}


def seconds(work: Callable[[str], object], text: str) -> float:
    """The better of two, in processor time."""
    return min(_once(work, text) for _ in range(2))


def _once(work: Callable[[str], object], text: str) -> float:
    began = time.thread_time()
    work(text)
    return time.thread_time() - began


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_text_functions_take_linear_time(attack: Attack, name: str) -> None:
    work = FUNCTIONS[name]
    for seed in SEEDS:
        small = seconds(work, seed * (SMALL // len(seed)))
        large = seconds(work, seed * (TIMES * SMALL // len(seed)))
        attack.refused(
            large <= MOST * max(small, NOISE_SECONDS), f"{seed!r}: {small:.4f} s, then {large:.4f} s"
        )
    attack.allowed(seconds(work, "Two short lines.\nNo more.") < 1, "an ordinary text")


def test_linear_functions_have_correct_results(attack: Attack) -> None:
    attack.allowed(sanitize_markdown("a <!-- b --> c") == "a  c")
    attack.allowed(strip_markers("a  [1] b [2]") == ("a b", (1, 2)))
    attack.refused(escape_brackets("\\\\\\<b") == "\\<b", escape_brackets("\\\\\\<b"))
    attack.refused(escape_brackets("\\\\[1]") == "\\[1]", escape_brackets("\\\\[1]"))
