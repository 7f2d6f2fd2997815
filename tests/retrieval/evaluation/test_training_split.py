"""Training examples are split so that nothing is on both sides."""

import random
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from retrieval.evaluation.training_split import split_examples


@dataclass(frozen=True)
class Example:
    keys: tuple[Hashable, ...]

    @property
    def group_keys(self) -> Iterable[Hashable]:
        return self.keys


def make(count: int) -> list[Example]:
    chance = random.Random(4)
    return [
        Example(
            (
                f"question {number}",
                *(f"document {chance.randrange(count)}" for _ in range(chance.choice((1, 1, 2)))),
            )
        )
        for number in range(count)
    ]


def keys(examples: Iterable[Example]) -> set[Hashable]:
    return {key for example in examples for key in example.group_keys}


def test_no_document_and_no_question_is_on_both_sides() -> None:
    examples = make(2000)
    train, validation = split_examples(examples)
    assert len(train) + len(validation) == len(examples)
    assert not keys(train) & keys(validation)
    assert 40 < len(validation) < 1000
    assert train == [example for example in examples if example in train]


def test_indirectly_connected_examples_stay_together() -> None:
    chain = [Example((f"d{number}", f"d{number + 1}")) for number in range(500)]
    random.Random(2).shuffle(chain)
    assert sorted(map(len, split_examples(chain))) == [0, 500]


def test_additional_examples_do_not_move_a_group_to_the_other_split() -> None:
    few = make(300)
    more = [*few, *(Example((f"other {number}",)) for number in range(300))]
    assert set(split_examples(few)[1]) <= set(split_examples(more)[1])
    assert set(split_examples(few)[0]) <= set(split_examples(more)[0])
