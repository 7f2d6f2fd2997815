import re

import pytest

from retrieval.answering.text.citation_markers import strip_markers


@pytest.mark.parametrize(
    ("text", "cleaned", "numbers"),
    [
        ("Yes [1].", "Yes.", (1,)),
        ("Yes. [1][2]", "Yes.", (1, 2)),
        ("Yes [1, 2] and no [3; 1].", "Yes and no.", (1, 2, 3)),
        ("Yes.[^1]", "Yes.", (1,)),
        ("Yes [2-4].", "Yes.", (2, 3, 4)),
        ("Yes [Passage 2].", "Yes.", (2,)),
        ("Ja [Quellen 1 und 3].", "Ja.", (1, 3)),
        ("Yes【1】.", "Yes.", (1,)),
        ("Yes [1](https://evil.example).", "Yes.", (1,)),
        ("Use `a[0]` [1].", "Use `a[0]`.", (1,)),
        ("A [link](https://a.example) stays.", "A [link](https://a.example) stays.", ()),
        ("[x] is no number.", "[x] is no number.", ()),
        ("", "", ()),
    ],
)
def test_strip_markers_returns_text_and_numbers(text: str, cleaned: str, numbers: tuple[int, ...]) -> None:
    assert strip_markers(text) == (cleaned, numbers)


@pytest.mark.parametrize("text", ["[1[2]3]", "[[1]]", "[1[2[3]4]5]"])
def test_removing_a_marker_creates_no_new_one(text: str) -> None:
    assert not re.search(r"\[\d", strip_markers(text)[0])
