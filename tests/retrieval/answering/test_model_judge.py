"""The language model as a second judge of whether passages answer a question."""

import pytest

from retrieval.answering.answerability.model_judge import MAX_TOKENS, VERSION, ModelAnswerability
from retrieval.answering.evidence_budget import EvidenceBudget
from retrieval.answering.protocols import Judgement
from tests.retrieval.answering.builders import LEAVE, STRONG, Away, Says, Writer, make_hit

QUESTION = "How many days of annual leave do employees earn?"


def judge(writer: Writer, first: Says = STRONG) -> Judgement:
    both = ModelAnswerability(first, EvidenceBudget(writer, 320, None))
    return both.judge(QUESTION, [make_hit(LEAVE)])


@pytest.mark.parametrize("reply", ["no", "No.", " **No**, they don't", "NO\n"])
def test_denial_by_the_model_is_a_refusal(reply: str) -> None:
    found = judge(Writer(reply))
    assert (found.answerable, found.strong) == (False, False)
    assert found.reason


@pytest.mark.parametrize("reply", ["yes", "Nobody knows", "", "not sure"])
def test_unclear_model_reply_preserves_the_first_judgement(reply: str) -> None:
    assert judge(Writer(reply)) == STRONG.judgement


def test_already_refused_question_is_not_sent_to_the_model() -> None:
    writer, refusal = Writer("yes"), Judgement(answerable=False, reason="nothing about it")
    assert judge(writer, Says(refusal)) == refusal
    assert not writer.prompts


def test_first_judge_decides_without_the_model() -> None:
    assert judge(Away()) == STRONG.judgement


def test_model_judge_reads_the_question_and_the_passages() -> None:
    writer = Writer("yes")
    judge(writer)
    text = "\n".join(str(message.content) for message in writer.prompts[0])
    assert QUESTION in text
    assert "25 days of annual leave" in text
    assert "yes or no" in text
    assert (VERSION, MAX_TOKENS) == ("judge-1", 4)


def test_model_is_not_asked_without_passages() -> None:
    writer = Writer("no", context_tokens=400)
    both = ModelAnswerability(STRONG, EvidenceBudget(writer, 320, None))
    assert (
        both.judge(QUESTION, [make_hit(LEAVE, title="Annual leave of all employees " * 20)])
        == STRONG.judgement
    )
    assert not writer.prompts
