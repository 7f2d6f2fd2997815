from concurrent.futures import ThreadPoolExecutor

import pytest

from cairn.inference.embedding.model_folder import EncoderFolder
from cairn.inference.embedding.tokenization import Tokens

CLS, SEP, PAD = 101, 102, 0


@pytest.fixture(scope="module")
def tokens(minilm: EncoderFolder) -> Tokens:
    return Tokens(minilm.tokenizer_file, max_sequence=minilm.max_sequence)


def test_token_counts_exclude_special_tokens_and_are_not_cut(tokens: Tokens) -> None:
    assert tokens.count(["", "hello world", "hello " * 1000]) == [0, 2, 1000]
    assert tokens.count([]) == []


def test_token_limit_excludes_special_tokens(tokens: Tokens) -> None:
    assert tokens.max_tokens == 254
    fits, cut = tokens.batch("hello " * 254), tokens.batch("hello " * 254 + "world")
    assert fits.ids.shape == (1, 256)
    assert (fits.ids == cut.ids).all()


def test_lone_surrogate_is_counted_as_a_token(tokens: Tokens) -> None:
    assert tokens.count(["\ud800 hello"])[0] >= 1


def test_batches_stay_within_the_budget_and_lose_no_text(tokens: Tokens) -> None:
    texts = ["hello " * length for length in (3, 200, 1, 0, 90, 254, 400, 7)]
    batches = list(tokens.batches(texts, budget=512, most=3))
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(texts)))
    for batch in batches:
        assert batch.ids.size <= 512
        assert len(batch.rows) <= 3
    lengths = {
        row: int(mask.sum()) for batch in batches for row, mask in zip(batch.rows, batch.mask, strict=True)
    }
    assert lengths == {0: 5, 1: 202, 2: 3, 3: 2, 4: 92, 5: 256, 6: 256, 7: 9}


def test_padding_is_masked(tokens: Tokens) -> None:
    (batch,) = tokens.batches(["hello", "hello world"], budget=512, most=8)
    assert batch.rows == [1, 0]
    assert batch.ids[1, 2:].tolist() == [SEP, PAD]
    assert batch.mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]


def test_no_text_no_batch(tokens: Tokens) -> None:
    assert list(tokens.batches([], budget=512, most=3)) == []


def test_text_over_the_budget_is_batched_alone(tokens: Tokens) -> None:
    assert [batch.rows for batch in tokens.batches(["hello " * 50] * 2, budget=10, most=9)] == [[0], [1]]


@pytest.mark.slow
def test_tokeniser_is_thread_safe(tokens: Tokens) -> None:
    texts = [f"hello {'world ' * length}" for length in range(300)]

    def both(_: int) -> tuple[list[int], int]:
        return tokens.count(texts), sum(
            len(batch.rows) for batch in tokens.batches(texts, budget=900, most=9)
        )

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(both, range(16)))
    assert results == [([length + 1 for length in range(300)], 300)] * 16
