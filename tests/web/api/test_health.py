"""Liveness and readiness of the process."""

from collections.abc import Callable

import pytest
from django.test import Client

from cairn.errors import Unavailable
from cairn.inference import registry
from cairn.inference.reranking import TimelyReranker
from cairn.settings import Environment
from tests.cairn.inference.reranking.test_timely import Lengths
from tests.fakes import FakeInference, FakeReader
from tests.web.api.conftest import assert_problem
from web.api import health


def works() -> None:
    pass


def broken() -> None:
    raise ConnectionError("http://user:secret@qdrant.internal refused")


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def put(**checks: Callable[[], None]) -> None:
        for name, check in checks.items():
            monkeypatch.setitem(health.CHECKS, name, check)

    put(queue=works, vectors=works, models=works)
    return put


def test_healthz_answers_anonymous_requests(db: None) -> None:
    response = Client().get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_ready_when_every_part_answers(db: None, parts: Callable[..., None]) -> None:
    response = Client().get("/readyz")
    assert response.status_code == 200
    answers = {"ok": True, "detail": "answers"}
    names = ["database", "queue", "vectors", "models"]
    assert response.json() == {"status": "ok", "checks": dict.fromkeys(names, answers)}


def test_readyz_of_a_process_ignores_shared_services(db: None, parts: Callable[..., None]) -> None:
    parts(models=broken)
    assert Client().get("/readyz?part=process").json()["checks"] == {
        "process": {"ok": True, "detail": "answers"}
    }
    for asked in ("part=models", "part=process&part=models", "part=modles"):
        assert Client().get(f"/readyz?{asked}").status_code == 503
    assert Client().get("/readyz?part=process&part=queue").status_code == 200


@pytest.mark.parametrize("part", ["queue", "vectors", "models"])
def test_readyz_fails_with_one_part_and_leaks_no_details(
    db: None, parts: Callable[..., None], part: str
) -> None:
    parts(**{part: broken})
    response = Client().get("/readyz")
    assert response.status_code == 503
    assert response["Retry-After"]
    checks = response.json()["checks"]
    assert {name for name, check in checks.items() if not check["ok"]} == {part}
    assert "secret" not in response.content.decode()
    assert "qdrant.internal" not in response.content.decode()


def test_in_process_queue_needs_a_running_worker(db: None) -> None:
    with pytest.raises(Unavailable):
        health.check_queue()


def test_health_check_fails_while_models_are_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry._chat.last, "loaded", None)
    monkeypatch.setattr(registry._slot(None), "loaded", None)
    with pytest.raises(Unavailable):
        health.check_models()


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Environment(reranker_model="a", answerability_model="b", grounding_model="c")
    monkeypatch.setattr(health, "environment", lambda: given)


def test_readyz_reports_optional_models_only_if_configured(
    db: None, parts: Callable[..., None], configured: None
) -> None:
    """They are not loaded here. Questions are answered without them, so the process is ready."""
    response = Client().get("/readyz")
    assert response.status_code == 200
    checks = response.json()["checks"]
    assert {name for name, check in checks.items() if not check["ok"]} == {
        "reranker",
        "answer_reader",
        "grounding_model",
    }


def test_readyz_reports_working_optional_models(
    db: None, parts: Callable[..., None], configured: None
) -> None:
    reranker = TimelyReranker(Lengths(), seconds=60)
    with registry.use(reranker=reranker, reader=FakeReader(), inference=FakeInference()):
        checks = Client().get("/readyz").json()["checks"]
    assert all(check["ok"] for check in checks.values())
    assert {"reranker", "answer_reader", "grounding_model"} <= checks.keys()
    reranker.close()


def test_failing_optional_model_does_not_make_the_process_unready(
    db: None, parts: Callable[..., None], configured: None
) -> None:
    broken = FakeReader(failure=Unavailable("http://user:secret@host refused"))
    with registry.use(reader=broken):
        response = Client().get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "ok")
    assert response.json()["checks"]["answer_reader"] == {"ok": False, "detail": "does not answer"}
    assert "secret" not in response.content.decode()


def test_health_is_for_reading(db: None) -> None:
    for path in ["/healthz", "/readyz", "/metrics"]:
        assert Client().post(path).status_code == 405
        assert Client().head(path).status_code in {200, 503}
    assert_problem(Client().get("/api/healthz"), 401, "not_signed_in")
