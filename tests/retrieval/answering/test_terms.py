import pytest

from retrieval.answering.text.terms import MISSPELT_CREDIT, likeness


@pytest.mark.parametrize(
    ("wanted", "given", "expected"),
    [
        ("leav", {"leav", "day"}, 1.0),
        ("reimburs", {"reimbures"}, MISSPELT_CREDIT),
        ("reimburs", {"desk"}, 0.0),
        ("cat", {"cart"}, 0.0),
        ("form630", {"form631"}, 0.0),
        ("leav", set(), 0.0),
    ],
)
def test_likeness(wanted: str, given: set[str], expected: float) -> None:
    assert likeness(wanted, given) == expected
