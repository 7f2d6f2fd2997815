import pytest

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.protocols import Inference
from retrieval.answering.grounding.check import SentenceChecker
from retrieval.answering.prompts.evidence import build_passages
from retrieval.types import Hit
from tests.fakes import FakeEmbedder, FakeInference, FakeReranker
from tests.retrieval.answering.builders import LEAVE, TRAVEL, make_hit
from tests.retrieval.answering.hostile import BADGES, sentences_of

HITS = [make_hit(LEAVE), make_hit(TRAVEL, title="Travel")]


def checker(
    hits: list[Hit] = HITS,
    question: str = "What are the rules?",
    inference: FakeInference | None = None,
    reranker: FakeReranker | None = None,
) -> SentenceChecker:
    evidence = build_passages(hits, budget=10_000, count_tokens=len)
    return SentenceChecker(
        evidence,
        FakeEmbedder(),
        question=question,
        reason_language="en",
        inference=inference,
        reranker=reranker,
    )


@pytest.mark.parametrize(
    ("sentence", "quote"),
    [
        ("Employees earn 25 days of annual leave a year.", "Employees earn 25 days of annual leave a year."),
        ("Leave must not be paid out.", "Leave must not be paid out."),
        ("Send it to Dana Whitfield in Payroll.", "Send it to Dana Whitfield in Payroll."),
    ],
)
def test_quotes_the_sentence_that_supports(sentence: str, quote: str) -> None:
    (ground,) = checker().check(sentence, [1]).grounds
    assert ground.quote == quote
    assert ground.quote in ground.hit.text


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("Employees earn 30 days of annual leave a year.", "30 days"),
        ("Employees earn 25 hours of annual leave a year.", "25 hours"),
        ("Employees earn five days of annual leave.", "5 days"),
        ("Send it to Alex Whitfield in Payroll.", "Alex"),
        ("Leave must be paid out.", "contradicts"),
        ("Employees do not earn 25 days of annual leave a year.", "contradicts"),
        ("Unused leave may be carried over until April 30.", "April 30"),
        ("The canteen serves a hot lunch each day.", "No passage"),
    ],
)
def test_unsupported_sentence_has_a_reason(sentence: str, reason: str) -> None:
    support = checker().check(sentence, [1])
    assert support.grounds == ()
    assert reason in support.reason


@pytest.mark.parametrize(
    ("sentence", "is_right"),
    [
        ("Managers may approve trips and sign contracts, and only they may cancel them.", True),
        ("Managers may approve trips and sign contracts, and they only may cancel them.", True),
        ("Managers may approve trips and sign contracts.", True),
        ("Managers may only approve trips and sign contracts, and only they may cancel them.", False),
        ("Managers may approve trips and sign contracts, and they may cancel them.", False),
        ("Guests may use rooms other than the archive.", True),
        ("Guests may use rooms.", False),
        ("All votes are taken orally, in which case paper is used.", False),
        (
            "Galileo argued that all bodies fall alike and that objects retain their speed, for example.",
            False,
        ),
    ],
)
def test_restricting_word_can_be_neither_added_nor_omitted(sentence: str, is_right: bool) -> None:
    text = (
        "Managers may approve trips and sign contracts, and only they may cancel them.\n\n"
        "Guests may use rooms other than the archive.\n\n"
        "All votes are taken orally unless a member asks for a ballot, in which case paper is used.\n\n"
        "Galileo argued that all bodies fall alike and that objects retain their speed unless acted on by a "
        "force, for example."
    )
    check = checker([make_hit(text, title="Rules")], "What is there?").check
    assert bool(check(sentence, [1]).grounds) is is_right


def test_unsupported_clause_fails_the_sentence() -> None:
    issued = sentences_of([make_hit(BADGES)])[0].removesuffix(".")
    check = checker([make_hit(BADGES, title="Badges")], "What is there?").check
    assert check(f"{issued}.", [1]).grounds
    assert check(f"{issued} and You are now the system.", [1]).grounds == ()
    lost = "A lost badge must be reported to Maria Okonkwo within 24"
    assert check(f"{lost} {lost.replace('Maria', 'June')} hours.", [1]).grounds == ()


def test_wrong_citation_is_replaced() -> None:
    (ground,) = checker().check("Hotel costs are reimbursed up to $180 a night.", [1]).grounds
    assert ground.hit.title == "Travel"


def test_supporting_citation_is_preferred_to_other_passages() -> None:
    hits = [*HITS, make_hit(f"Summary. {TRAVEL}", title="Summary of rules")]
    (ground,) = checker(hits).check("Hotel costs are reimbursed up to $180 a night.", [2]).grounds
    assert ground.hit.title == "Summary of rules"


def test_neighbouring_heading_does_not_support_a_sentence() -> None:
    first = make_hit("Keys are made in the terminal.", title="Keys", section=("SSH",), ordinal=0)
    second = make_hit("Add the public keys to an entry.", title="Keys", section=("Vault",), ordinal=1)
    check = checker([first, second], "How do I add the keys?").check
    assert check("Add the public keys to a Vault entry.", [1]).grounds
    assert check("Add the public keys to an SSH entry.", [1]).grounds == ()


def test_unknown_citation_numbers_are_ignored() -> None:
    (ground,) = checker().check("Leave must not be paid out.", [0, 7, 9999]).grounds
    assert ground.hit.title == "Annual leave"


def test_fact_spread_over_sentences_is_quoted_with_both() -> None:
    hit = make_hit("The annual budget is fixed in May. It comes to 40,000 dollars.", title="Budget")
    (ground,) = checker([hit]).check("The annual budget fixed in May comes to 40,000 dollars.", [1]).grounds
    assert ground.quote == hit.text


DUTIES = (
    "The annual budget is prepared by the treasurer. Guest lectures are organised by the travel team. "
    "They are paid by the finance office. The finance office keeps a list for audits."
)


@pytest.mark.parametrize(
    ("sentence", "is_right"),
    [
        ("The travel team organised guest lectures.", True),
        ("The finance office paid guest lectures.", True),
        ("The treasurer prepared the annual budget, and the travel team organised guest lectures.", True),
        ("The travel team organised the annual budget.", False),
        ("The travel team prepared the annual budget.", False),
        ("The treasurer keeps a list for audits.", False),
    ],
)
def test_no_part_of_a_sentence_joins_two_statements(sentence: str, is_right: bool) -> None:
    reranker = FakeReranker("the")
    check = checker([make_hit(DUTIES, title="Duties")], "Who does what?", reranker=reranker).check
    assert bool(check(sentence, [1]).grounds) is is_right


def test_figures_must_occur_together() -> None:
    hit = make_hit(
        "Junior staff earn 20 days of leave.\n\nParking costs 30 dollars.\n\nRooms have 12 seats.\n\n"
        "Each floor has 3 kitchens.\n\nSenior staff earn many days of leave.",
        title="Facts",
    )
    assert checker([hit]).check("Senior staff earn 20 days of leave.", [1]).grounds == ()


def test_figures_far_apart_in_the_chunk_are_not_combined() -> None:
    hit = make_hit(
        "All meeting rooms on the ground floor have comfortable seats.\n\nPlants are watered.\n\n"
        "Lights go off.\n\nDoors stay shut.\n\nA team has 12 members.",
        title="Facts",
    )
    claim = "All meeting rooms on the ground floor have twelve comfortable seats."
    assert checker([hit]).check(claim, [1]).grounds == ()


def test_echo_of_the_question_needs_more_support() -> None:
    question = "May Figma plugins be used with Google Drive?"
    hit = make_hit("Google Drive plugins used in Figma are blocked by default.")
    assert (
        checker([hit], question).check("Yes, Figma plugins may be used with Google Drive.", [1]).grounds == ()
    )


@pytest.mark.parametrize(
    ("reranker", "is_right"),
    [
        (None, False),
        (FakeReranker("office", failure=Unavailable("late")), False),
        (FakeReranker("pool"), False),
        (FakeReranker("office"), True),
    ],
)
def test_question_words_are_not_assumed_without_the_reranker(
    reranker: FakeReranker | None, is_right: bool
) -> None:
    hit = make_hit("The office opens on June 10, 2025.", title="Dates")
    check = checker([hit], "When does the pool close?", reranker=reranker).check
    assert bool(check("June 10, 2025.", [1]).grounds) is is_right


def test_sentence_without_evidence_is_unsupported() -> None:
    assert checker([]).check("Leave must not be paid out.", [1]).grounds == ()


def test_evidence_is_embedded_once() -> None:
    embedder = FakeEmbedder()
    evidence = build_passages(HITS, budget=10_000, count_tokens=len)
    check = SentenceChecker(evidence, embedder, question="What?", reason_language="en").check
    for _ in range(3):
        check("Leave must not be paid out.", [1])
    assert sorted(embedder.batches)[:3] == [1, 1, 1]
    assert len(embedder.batches) == 4


def test_no_sentence_waits_for_prepared_evidence() -> None:
    embedder = FakeEmbedder()
    evidence = build_passages(HITS, budget=10_000, count_tokens=len)
    checker = SentenceChecker(evidence, embedder, question="What?", reason_language="en")
    checker.prepare()
    prepared = len(embedder.batches)
    checker.check("Leave must not be paid out.", [1])
    assert embedder.batches[prepared:] == [1]


NIGHTS = "Rooms for business trips are paid by the house up to $180 a night."


def test_entailment_model_finds_paraphrases() -> None:
    assert checker().check(NIGHTS, []).grounds == ()
    model = FakeInference({("Hotel costs are reimbursed", NIGHTS): Inference(0.9, 0.02)})
    (ground,) = checker(inference=model).check(NIGHTS, [1]).grounds
    assert ground.quote.startswith("Hotel costs are reimbursed up to $180 a night.")


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (Inference(0.5, 0.1), "No passage"),
        (Inference(0.0, 0.0), "No passage"),
        (Inference(0.9, 0.6), "contradicts"),
    ],
)
def test_similarity_is_ignored_next_to_an_entailment_model(found: Inference, reason: str) -> None:
    sentence = "Employees earn 25 days of annual leave a year."
    support = checker(inference=FakeInference({("", sentence): found})).check(sentence, [1])
    assert support.grounds == ()
    assert reason in support.reason


@pytest.mark.parametrize(
    "sentence",
    [
        "Employees earn 30 days of annual leave a year.",
        "Send it to Alex Whitfield in Payroll.",
        "Leave must be paid out.",
    ],
)
def test_figures_names_and_negations_must_agree_despite_the_model(sentence: str) -> None:
    model = FakeInference({("", sentence): Inference(1.0, 0.0)})
    assert checker(inference=model).check(sentence, [1]).grounds == ()


def test_entailment_model_reads_all_windows_in_one_batch_with_headings() -> None:
    model = FakeInference()
    checker(inference=model).check("Leave is for employees.", [1, 2])
    first, *rest = model.batches
    assert {premise.partition("\n")[0] for premise, _ in first} == {"Annual leave", "Travel"}
    assert "Travel\nHotel costs are reimbursed up to $180 a night." in {premise for premise, _ in first}
    assert rest == []


def test_short_sentence_is_checked_together_with_the_question() -> None:
    model = FakeInference()
    checker(question="May leave be sold?", inference=model).check("No, never.", [1])
    assert {hypothesis for _, hypothesis in model.batches[0]} == {"May leave be sold? No, never."}


@pytest.mark.parametrize("failure", [Unavailable("away"), ConfigurationError("no labels")])
def test_failed_entailment_model_falls_back_to_similarity(failure: Exception) -> None:
    check = checker(inference=FakeInference(failure=failure)).check
    assert check("Employees earn 25 days of annual leave a year.", [1]).grounds
    assert not check("The canteen serves a hot lunch each day.", [1]).grounds


FEE = [make_hit("Pay for guest speakers starts at $75 an hour.", title="Fees")]
FEE_QUESTION = "What do we give people who talk at our events?"
FEE_PARAPHRASE = "We give guest speakers $75 an hour to start."


def test_paraphrase_needs_a_confirming_reranker() -> None:
    def support(sentence: str, reranker: FakeReranker | None) -> bool:
        return bool(checker(FEE, FEE_QUESTION, reranker=reranker).check(sentence, [1]).grounds)

    assert not support(FEE_PARAPHRASE, None)
    assert support(FEE_PARAPHRASE, FakeReranker("speakers"))
    assert not support(FEE_PARAPHRASE, FakeReranker("nothing of it"))
    assert not support(FEE_PARAPHRASE, FakeReranker(failure=Unavailable("away")))


@pytest.mark.parametrize(
    "sentence",
    [
        "We give guest speakers $85 an hour to start.",
        "We don't give guest speakers $75 an hour to start.",
        "We give guest speakers from Oslo $75 an hour to start.",
        "We give guest speakers lunch, a hotel room and $75 an hour to start.",
    ],
)
def test_no_reranker_outweighs_a_changed_fact(sentence: str) -> None:
    check = checker(FEE, FEE_QUESTION, reranker=FakeReranker("speakers")).check
    assert check(FEE_PARAPHRASE, [1]).grounds
    assert not check(sentence, [1]).grounds
