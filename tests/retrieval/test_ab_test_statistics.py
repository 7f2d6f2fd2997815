"""The statistical test of A/B tests, with people whose own answers resemble each other."""

import numpy as np

from retrieval.conversations.ab_tests.sequential_test import (
    ERROR_RATE,
    LOOKS,
    SIGNIFICANT_P,
    PersonCounts,
    compare_people,
    count_due_looks,
)

PEOPLE = 40
MAX_ANSWERS = 400


def ends_with_a_difference(rng: np.random.Generator, *, candidate_effect: float, share: float = 0.5) -> str:
    """Simulate a test: people differ, and who asks much is random. Return "better", "worse" or ""."""
    is_candidate = rng.random(PEOPLE) < share
    rates = rng.beta(0.8, 0.4, PEOPLE) + candidate_effect * is_candidate
    asks = rng.dirichlet(np.full(PEOPLE, 0.5))
    answers, good = np.zeros(PEOPLE, int), np.zeros(PEOPLE, int)
    looks = 0
    for number in range(1, MAX_ANSWERS + 1):
        person = int(rng.choice(PEOPLE, p=asks))
        answers[person] += 1
        good[person] += rng.random() < rates[person]
        due = count_due_looks(number, MAX_ANSWERS)
        if due > looks:
            looks = due
            asked = [
                PersonCounts(bool(is_candidate[each]), int(answers[each]), int(good[each]))
                for each in range(PEOPLE)
                if answers[each]
            ]
            found = compare_people(asked, seed=number, assignments=499)
            if found is not None and found.p_value <= SIGNIFICANT_P:
                return "better" if found.difference > 0 else "worse"
    return ""


def test_tests_without_a_difference_seldom_end_with_one() -> None:
    rng = np.random.default_rng(7)
    ended = [ends_with_a_difference(rng, candidate_effect=0) for _ in range(100)]
    assert sum(map(bool, ended)) <= 100 * ERROR_RATE


def test_candidate_without_good_answers_is_found_before_the_end() -> None:
    rng = np.random.default_rng(8)
    ended = [ends_with_a_difference(rng, candidate_effect=-1) for _ in range(10)]
    assert ended.count("worse") >= 9


def test_much_better_candidate_is_found() -> None:
    people = [PersonCounts(number % 2 == 0, 5, 5 if number % 2 == 0 else 1) for number in range(30)]
    found = compare_people(people, seed=1)
    assert found is not None
    assert found.difference == 0.8
    assert found.p_value <= SIGNIFICANT_P


def test_many_answers_of_two_people_show_no_difference() -> None:
    people = [PersonCounts(is_candidate=True, answers=500, good=0), PersonCounts(False, 500, 500)]
    found = compare_people(people, seed=1)
    assert found is not None
    assert (found.difference, found.p_value) == (-1, 1)


def test_nothing_is_compared_before_both_models_have_answered() -> None:
    assert compare_people([], seed=1) is None
    assert compare_people([PersonCounts(True, 5, 5), PersonCounts(True, 5, 0)], seed=1) is None


def test_looks_are_due_at_each_tenth() -> None:
    assert [count_due_looks(answers, 100) for answers in (0, 9, 10, 99, 100, 150)] == [0, 0, 1, 9, 10, LOOKS]
