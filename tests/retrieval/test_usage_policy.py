"""Matching of questions with the phrases of usage rules."""

import pytest

from retrieval.conversations.usage_policy.matching import find_phrase, is_valid_phrase
from retrieval.conversations.usage_policy.models import UsageRule

CASES = [
    ("salary", "What is her SALARY?", True),
    ("salary", "Which salaryman?", False),
    ("salary", "sal\u200bary", True),
    ("salar*", "All salaries", True),
    ("salar* of the board", "the Salaries of\nthe board!", True),
    ("salar* of the board", "the salary of the whole board", False),
    ("works council", "works-council", True),
    ("works council", "council works", False),
    ("gehälter", "Die GEHÄLTER", True),
    ("gehalter", "Gehälter", True),
    ("Gehälter", "die Gehalter", True),
    ("strasse", "Straße", True),
    ("деньг*", "Где деньги?", True),
    ("工资", "他的工资是多少", True),
    ("工资", "他的工作资料", False),
    ("वेतन", "उसका वेतन क्या है", True),
    ("वेतन", "वेतनमान क्या है", False),
    ("anna's pay", "What is Anna’s pay?", True),
    ("salary", "sal*ary", False),
    ("snake_case", "snake case", True),
]


@pytest.mark.parametrize(("phrase", "text", "matches"), CASES)
def test_phrases_match_whole_words(phrase: str, text: str, matches: bool) -> None:
    assert is_valid_phrase(phrase)
    assert find_phrase(UsageRule(phrases=[phrase]), [text]) == (phrase if matches else None)


def test_exception_counts_for_its_own_text_only() -> None:
    rule = UsageRule(phrases=["salary"], exceptions=["salary bands"])
    assert find_phrase(rule, ["Which salary bands are there?"]) is None
    assert find_phrase(rule, ["Which salary bands are there?", "Anna's salary?"]) == "salary"


SENTENCE_ENDS = "\u0589\u0700\u0965\u104b\u1362\u17d4\u203d\u2e2e\r\f\x85\u2028\u2029"
EXCEPTIONS = [
    ("What is the salary of Dr. Meier?", False),
    ("What does salary insurance cost?", False),
    ("What is a clerk's salary? And salary insurance?", True),
    ("What does salary insurance cost? And a clerk's salary?", True),
    ("What does salary insurance cost!And a salary", True),
    ("What does salary insurance cost; and a salary", True),
    ("salary insurance\nsalary", True),
    ("Ask about salary insurance. (Salary?)", True),
    ("salary insurance。salary", True),
    ("salary insurance？salary", True),
    ("salary insurance؟ salary", True),
    ("salary insurance। salary", True),
    (
        "Is salary insurance, e.g. for a salary of 3.5 k, deducted on 12. May or by No. 5 of the salary plan",
        False,
    ),
    ("Salary. Insurance?", True),
    ("What does insurance cost? And insurance? And salary insurance?", False),
]


@pytest.mark.parametrize(("text", "matches"), EXCEPTIONS)
def test_exception_counts_for_its_own_sentence_only(text: str, matches: bool) -> None:
    rule = UsageRule(phrases=["salary"], exceptions=["salary insurance", "Dr. Meier"])
    assert find_phrase(rule, [text]) == ("salary" if matches else None)


@pytest.mark.parametrize("end", SENTENCE_ENDS, ids=ascii)
def test_sentences_end_in_every_script(end: str) -> None:
    rule = UsageRule(phrases=["salary"], exceptions=["salary insurance"])
    assert find_phrase(rule, [f"salary insurance{end}salary"]) == "salary"


def test_phrase_continues_across_line_breaks_but_not_across_an_exception() -> None:
    rule = UsageRule(phrases=["salary of Anna"], exceptions=["bands"])
    assert find_phrase(rule, ["The bands?\nThe salary\nof Anna"]) == "salary of Anna"
    assert find_phrase(rule, ["The salary\nbands\nof Anna"]) is None


@pytest.mark.parametrize("text", ["." * 10_000, "a\n" * 5000, "salary bands. " * 700, "?" * 10_000])
def test_hostile_question_is_cut_into_sentences(text: str) -> None:
    rule = UsageRule(phrases=["salary"], exceptions=["salary bands"])
    assert find_phrase(rule, [f"{text} salary bands. A salary"]) == "salary"


def test_hostile_question_is_matched_in_linear_steps() -> None:
    """The wildcards of a phrase are no regular expression that backtracks: this would not end otherwise."""
    rule = UsageRule(phrases=[" ".join(["a*"] * 60) + " b"])
    assert find_phrase(rule, ["a" * 5000 + " a" * 2500 + " b a"]) is not None
    assert find_phrase(rule, ["a " * 5000 + "c b"]) is None
