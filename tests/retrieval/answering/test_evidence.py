from retrieval.answering.prompts.evidence import FENCE_TOKENS, build_passages, deduplicate
from tests.retrieval.answering.builders import LEAVE, TRAVEL, make_hit


def count(text: str) -> int:
    return len(text.split())


def test_deduplicate_drops_equal_texts() -> None:
    first = make_hit(LEAVE)
    copy = make_hit(LEAVE.replace("\n", " "), title="Leave (copy)")
    other = make_hit(TRAVEL, title="Travel")
    assert deduplicate([first, copy, other, make_hit("  ", title="Blank"), first]) == [first, other]


def test_deduplicate_preserves_equal_wording_with_other_figures() -> None:
    """Two years' rules are evidence of a conflict, not copies."""
    hits = [make_hit(LEAVE), make_hit(LEAVE.replace("25", "30"), title="Leave 2023")]
    assert deduplicate(hits) == hits


def test_adjacent_passages_are_joined_at_the_best_rank() -> None:
    second, third = make_hit("Two.", ordinal=1), make_hit("Three.", ordinal=2)
    elsewhere, first = make_hit("Else.", title="Other", ordinal=1), make_hit("One.", ordinal=0)
    found = build_passages([third, elsewhere, first, second], budget=500, count_tokens=count)
    assert [passage.text for passage in found] == ["One.\nTwo.\nThree.", "Else."]
    assert [passage.number for passage in found] == [1, 2]
    assert found[0].hits == (first, second, third)


def test_passages_fit_the_token_budget() -> None:
    hits = [make_hit(f"Word{n} " * 40, title=f"T{n}", ordinal=9 * n) for n in range(10)]
    found = build_passages(hits, budget=130, count_tokens=count)
    assert 0 < len(found) < 10
    assert sum(count(f"{passage.heading} {passage.text}") + FENCE_TOKENS for passage in found) <= 130


def test_overlong_passage_is_cut_at_a_sentence() -> None:
    found = build_passages([make_hit("A sentence of six words here. " * 100)], budget=100, count_tokens=count)
    assert len(found) == 1
    assert found[0].text.endswith("here.")
    assert 40 < count(found[0].text) <= 100


def test_no_hits_no_passages() -> None:
    assert build_passages([], budget=100, count_tokens=count) == []


def test_second_best_passage_is_placed_last() -> None:
    hits = [make_hit(f"Text {n}.", title=f"T{n}") for n in range(4)]
    found = build_passages(hits, budget=500, count_tokens=count)
    assert [passage.heading for passage in found] == ["T0", "T2", "T3", "T1"]
    assert [passage.number for passage in found] == [1, 2, 3, 4]


def test_newer_copy_with_other_figures_is_preserved() -> None:
    old, new = make_hit(LEAVE, title="Leave 2021"), make_hit(LEAVE.replace("25", "27"), title="Leave 2023")
    assert deduplicate([old, new]) == [old, new]


def test_document_date_is_in_the_label_and_not_in_the_evidence() -> None:
    (passage,) = build_passages([make_hit(LEAVE, dated="2023-05-01")], budget=500, count_tokens=count)
    assert passage.label == "Annual leave (2023-05-01)"
    assert "2023" not in passage.heading
    (named,) = build_passages([make_hit(LEAVE, title="Leave 2021")], budget=500, count_tokens=count)
    assert named.label == "Leave 2021"
