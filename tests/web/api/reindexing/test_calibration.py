"""Weights of answerability: fitted for a model, and gone with it."""

import pytest

from cairn.access.models import Role
from tests.web.api.conftest import Caller
from tests.web.api.reindexing.install import Generations

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

QUESTION = "What do otters hold?"
NEVER = {"bias": -9.0, "weights": {"words": 1.0}, "threshold": 0.5}
ALWAYS = {"bias": 9.0, "weights": {}, "threshold": 0.5}
PATH = "/index/calibration"


def is_tried(caller: Caller) -> bool:
    """Return whether the evidence was considered to contain an answer."""
    answer = caller.post("/ask", {"question": QUESTION})
    assert answer.status_code == 200, answer.content
    return bool(answer.json()["verdict"] != "refused")


def test_own_weights_decide_from_the_next_question_on(install: Generations) -> None:
    install.add("otters.txt", "Otters hold hands.")
    assert is_tried(install.admin)
    assert install.admin.get(PATH).json()["own"] is False

    kept = install.admin.put(PATH, NEVER)
    assert kept.json() == {**NEVER, "own": True}
    assert not is_tried(install.admin)

    install.admin.put(PATH, ALWAYS)
    assert install.admin.get(PATH).json() == {**ALWAYS, "own": True}
    assert is_tried(install.admin)

    install.admin.put(PATH, NEVER)
    assert install.admin.delete(PATH).json()["own"] is False
    assert is_tried(install.admin)


def test_own_weights_belong_to_the_model_and_survive_a_rebuilt_index(install: Generations) -> None:
    install.add("otters.txt", "Otters hold hands.")
    install.admin.put(PATH, NEVER)
    install.reindex(None)
    install.swap()
    assert not is_tried(install.admin)
    install.reindex()
    install.swap()
    assert install.admin.get(PATH).json()["own"] is False
    assert is_tried(install.admin)


def test_answer_returns_its_confidence_signals(install: Generations) -> None:
    install.add("otters.txt", "Otters hold hands.")
    answer = install.admin.post("/ask", {"question": "Which weasels dance in 1999?"}).json()
    assert answer["signals"]["unnamed"] == 1
    assert answer["signals"]["words"] < 0.5


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"bias": "x", "weights": {}, "threshold": 0.5},
        {"bias": 0, "weights": {"luck": 1}, "threshold": 0.5},
        {"bias": 0, "weights": {}, "threshold": 7},
        {**ALWAYS, "more": 1},
    ],
)
def test_invalid_weights_are_rejected(install: Generations, wrong: dict[str, object]) -> None:
    assert install.admin.put(PATH, wrong).status_code == 422
    assert install.admin.get(PATH).json()["own"] is False


def test_only_admins_read_and_change_weights(install: Generations, rob: Caller) -> None:
    install.grant(rob, Role.MANAGER)
    assert rob.get(PATH).status_code == rob.put(PATH, NEVER).status_code == 403
    assert rob.delete(PATH).status_code == 403
