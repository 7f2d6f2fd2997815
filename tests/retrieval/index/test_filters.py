from dataclasses import replace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from retrieval.index.filters import KNOWLEDGE_BASE, READERS, AnyOf, build_permission_filter, narrow_conditions
from retrieval.index.protocol import Filters
from tests.retrieval.index.points import scope

bases = st.frozensets(st.builds(UUID, int=st.integers(0, 5)), max_size=4)


@given(bases, bases, st.frozensets(st.text(max_size=3), max_size=3))
def test_filter_always_has_a_required_alternative(
    bases_read: frozenset[UUID], bases_managed: frozenset[UUID], tokens: frozenset[str]
) -> None:
    """Stores take an empty list of alternatives for "everything"."""
    asked = replace(scope(), readable=bases_read, managed=bases_managed, tokens=tokens)
    allowed = build_permission_filter(asked)
    for conditions in (allowed, narrow_conditions(allowed, Filters(tags=("x",)))):
        assert conditions.some[0].field == READERS
        assert conditions.every[0] == AnyOf.of(KNOWLEDGE_BASE, bases_read)
        assert all(set(each.values) <= set(map(str, bases_read)) for each in conditions.some[1:])
