"""Admins register models, test their connection and activate them; answers then come from them."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from cairn.audit.models import Event
from cairn.library.models import Document
from cairn.settings.stored.models import RegisteredModel
from cairn.settings.stored.store import effective_environment
from retrieval.engine import ConfiguredChat, Engine, use
from tests.cairn.inference.server import FakeServer
from tests.cairn.inference.test_checking import listed, writes
from tests.web.api.conftest import Caller, assert_problem, indexed
from tests.web.api.model_servers import KEY, activate, check, register

QUESTION = "How many days of leave do employees get a year?"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        fake.respond = writes
        listed(fake, {"id": "mistral", "max_model_len": 4096})
        yield fake


def test_answers_come_from_the_active_model(
    admin: Caller, server: FakeServer, document: Document, parts: Engine, own_models: None
) -> None:
    fact = "Employees get 25 days of leave a year"
    indexed(document, parts, f"{fact}.")
    register(admin, server, api_key=KEY)
    model = check(admin)
    assert (model["measured"]["context_tokens"], model["measured"]["system_role"]) == (4096, True)
    server.respond = lambda exchange: exchange.write(f"{fact} [1].")
    with use(Engine(parts.embedder, parts.index, ConfiguredChat())):
        assert activate(admin, model).json()["status"] == "active"
        answer = admin.post("/ask", {"question": QUESTION}).json()
    assert fact in answer["answer"]
    assert server.exchanges[-1].authorization == f"Bearer {KEY}"
    assert effective_environment().llm_context_tokens == 4096
    actions = Event.objects.filter(subject="model:mistral").order_by("at").values_list("action", flat=True)
    assert list(actions) == ["model.registered", "models.checked", "model.activated"]


def test_model_key_is_encrypted_and_never_shown(admin: Caller, server: FakeServer) -> None:
    register(admin, server, api_key=KEY)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {RegisteredModel._meta.db_table}")
        assert KEY not in str(cursor.fetchall())
    assert admin.get("/models/mistral").json()["api_key_set"] is True
    everything = admin.get("/models").content.decode() + str(list(Event.objects.values()))
    assert KEY not in everything


def test_stored_key_is_not_sent_to_another_server(admin: Caller, server: FakeServer) -> None:
    model = register(admin, server, api_key=KEY)
    moved = {"version": model["version"], "base_url": "https://elsewhere.example.org/v1"}
    problem = assert_problem(admin.patch("/models/mistral", moved), 422, "invalid")
    assert "enter the secret again" in problem["detail"]
    assert admin.patch("/models/mistral", {**moved, "api_key": "sk-new"}).status_code == 200


def test_untested_model_is_not_activated(admin: Caller, server: FakeServer) -> None:
    model = register(admin, server)
    assert "Test the connection" in assert_problem(activate(admin, model), 409, "conflict")["detail"]
    model = check(admin)
    changed = admin.patch("/models/mistral", {"version": model["version"], "model": "mixtral"}).json()
    assert changed["measured"] is None
    assert_problem(activate(admin, changed), 409, "conflict")


def test_expired_licence_prevents_activation_and_is_shown(admin: Caller, server: FakeServer) -> None:
    yesterday = timezone.localdate() - timedelta(days=1)
    register(admin, server, licence="proprietary", licence_ends=yesterday.isoformat())
    model = check(admin)
    assert (model["licence"]["ended"], model["licence"]["last_day"]) == (True, yesterday.isoformat())
    assert "licence" in assert_problem(activate(admin, model), 409, "conflict")["detail"]
    later = {"version": model["version"], "licence_ends": timezone.localdate().isoformat()}
    model = admin.patch("/models/mistral", later).json()
    assert activate(admin, model).status_code == 200


def test_concurrent_activations_conflict(admin: Caller, server: FakeServer) -> None:
    register(admin, server, "first")
    register(admin, server, "second")
    first, second = check(admin, "first"), check(admin, "second")
    assert activate(admin, first, replaces=None).status_code == 200
    problem = assert_problem(activate(admin, second, replaces=None), 409, "conflict")
    assert "activated another model" in problem["detail"]
    active = RegisteredModel.objects.filter(status="active").values_list("name", flat=True)
    assert list(active) == ["first"]
    assert activate(admin, second, replaces="first").status_code == 200
    assert admin.get("/models/first").json()["status"] == "retired"


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "2852039166", "0xa9fea9fe", "[fd00:ec2::254]", "[::ffff:169.254.169.254]",
     "100.100.100.200"],
)  # fmt: skip
def test_addresses_of_metadata_services_are_refused(admin: Caller, host: str) -> None:
    body = {"name": "cloud", "base_url": f"http://{host}/v1", "model": "m", "licence": "mit"}
    assert_problem(admin.post("/models", body), 422, "invalid")


def test_host_name_of_a_metadata_service_is_rejected(
    admin: Caller, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(admin, server, base_url="http://models.example.org/v1")
    monkeypatch.setattr(
        "cairn.http.ssrf_guard.socket.getaddrinfo",
        lambda *_args, **_options: [(2, 1, 6, "", ("169.254.169.254", 80))],
    )
    found = admin.post("/models/mistral/test").json()
    assert "no server may be at this address" in found["problem"]
    assert found["model"]["measured"] is None


def test_database_rejects_a_second_active_model(admin: Caller, server: FakeServer) -> None:
    register(admin, server, "first")
    register(admin, server, "second")
    register(admin, server, "outside", location="outside")
    RegisteredModel.objects.exclude(name="second").update(status="active")
    with pytest.raises(IntegrityError), transaction.atomic():
        RegisteredModel.objects.filter(name="second").update(status="active")


def test_server_of_an_active_model_cannot_change(admin: Caller, server: FakeServer) -> None:
    register(admin, server)
    model = activate(admin, check(admin)).json()
    changed = admin.patch("/models/mistral", {"version": model["version"], "model": "mixtral"})
    assert "Retire the model" in assert_problem(changed, 409, "conflict")["detail"]
    retired = admin.post("/models/mistral/retire", {"version": model["version"]}).json()
    assert (retired["status"], effective_environment().llm_model) == ("retired", None)


def test_adapters_need_a_base_model_of_their_type(admin: Caller, server: FakeServer) -> None:
    register(admin, server)
    adapter = register(admin, server, "legal", base="mistral", model="legal-lora")
    assert adapter["base"] == "mistral"
    chained = {"name": "chained", "base_url": server.url, "model": "m", "licence": "mit", "base": "legal"}
    assert_problem(admin.post("/models", chained), 422, "invalid")
    assert_problem(admin.post("/models", {**chained, "base": "nothing"}), 422, "invalid")


def test_outdated_model_change_conflicts(admin: Caller, server: FakeServer) -> None:
    model = register(admin, server)
    change = {"version": model["version"], "price_in": "1.25"}
    assert admin.patch("/models/mistral", change).json()["price_in"] == "1.2500"
    assert_problem(admin.patch("/models/mistral", change), 409, "conflict")
    assert_problem(admin.post("/models", {"name": "mistral", **_ENTERED}), 409, "conflict")
    assert_problem(admin.post("/models", {"name": "mixtral", **_ENTERED, "licence": "mine"}), 422, "invalid")


_ENTERED = {"base_url": "https://llm.example.org/v1", "model": "m", "licence": "mit"}
