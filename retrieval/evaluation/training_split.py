"""Splits training examples so that nothing about a document or a question is on both sides."""

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import Final, Protocol, TypeVar

VALIDATION_PERCENT: Final = 10


class Grouped(Protocol):
    @property
    def group_keys(self) -> Iterable[Hashable]:
        """Return what must not be on both sides: documents and questions."""
        ...


_Example = TypeVar("_Example", bound=Grouped)


def split_examples(examples: Sequence[_Example]) -> tuple[list[_Example], list[_Example]]:
    """Return the examples to train and to validate with, each in the given order.

    Examples that share a key, directly or through others, stay together. A group's side depends on its keys
    alone, so that it stays the same when others are added.
    """
    train, validation = list[_Example](), list[_Example]()
    for group in _connect(examples):
        side = validation if _is_validation(group) else train
        side.extend(group)
    order = {id(example): place for place, example in enumerate(examples)}
    return tuple(sorted(side, key=lambda each: order[id(each)]) for side in (train, validation))  # type: ignore[return-value]


def _connect(examples: Sequence[_Example]) -> list[list[_Example]]:
    leaders: dict[Hashable, Hashable] = {}

    def find_leader(key: Hashable) -> Hashable:
        while leaders.setdefault(key, key) != key:
            leaders[key] = key = leaders[leaders[key]]
        return key

    for example in examples:
        first, *others = example.group_keys
        for other in others:
            leaders[find_leader(other)] = find_leader(first)
    groups = defaultdict[Hashable, list[_Example]](list)
    for example in examples:
        groups[find_leader(next(iter(example.group_keys)))].append(example)
    return list(groups.values())


def _is_validation(group: Iterable[Grouped]) -> bool:
    least = min(str(key) for example in group for key in example.group_keys)
    return hashlib.sha256(least.encode()).digest()[0] * 100 < VALIDATION_PERCENT * 256
