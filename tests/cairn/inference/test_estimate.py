import pytest

from cairn.inference.chat.openvino import OpenVinoLLM
from cairn.inference.token_estimate import estimate_tokens

TEXTS = [
    "Employees may donate annual leave to a colleague who has a medical emergency.",
    "| code | amount |\n| A-17 | 1,204.50 |\n| B-02 | 33.10 |",
    "def add(left: int, right: int) -> int:\n    return left + right",
    "Überstunden werden gemäß § 5 vergütet.",
    "Les congés annuels sont accordés après accord du chef de service.",
    "Отпуск составляет двадцать восемь дней.",
    "有給休暇は十日です。",
    "🙂🙂",
]


@pytest.mark.models
@pytest.mark.parametrize("text", TEXTS)
def test_token_estimate_is_above_the_exact_count_but_at_most_threefold(
    text: str, smollm: OpenVinoLLM
) -> None:
    exact = smollm.count_tokens(text)
    assert exact <= estimate_tokens(text) <= 3 * exact


def test_token_estimate_counts_a_lone_surrogate() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("\ud800") == 1
