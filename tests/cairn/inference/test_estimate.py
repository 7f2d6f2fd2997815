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
def test_the_estimate_is_on_the_high_side_but_not_absurd(text: str, smollm: OpenVinoLLM) -> None:
    exact = smollm.count_tokens(text)
    assert exact <= estimate_tokens(text) <= 3 * exact


def test_nothing_and_half_a_surrogate_pair() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("\ud800") == 1
