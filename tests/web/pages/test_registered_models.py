"""The pages of the model registry."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from cairn.settings.stored.models import RegisteredModel
from cairn.settings.stored.store import forget_snapshot
from retrieval.models import Conversation, Message
from tests.cairn.inference.server import FakeServer
from tests.cairn.inference.test_checking import listed, writes
from tests.web.api.conftest import Caller, admin  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/admin/models/registry/mistral"


@pytest.fixture
def console(admin: Caller) -> Client:  # noqa: F811 - the fixture
    client = Client()
    client.force_login(admin.user)
    return client


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        fake.respond = writes
        listed(fake, {"id": "mistral", "max_model_len": 4096})
        yield fake


def register(url: str = "http://127.0.0.1:9/v1", **more: object) -> RegisteredModel:
    row = RegisteredModel.objects.create(
        name="mistral", base_url=url, model="mistral", **{"licence": "llama-3.3", **more}
    )
    forget_snapshot()
    return row


def test_registered_models_show_their_licence(console: Client) -> None:
    register(licence_ends=timezone.localdate() - timedelta(days=1), location="outside")
    page = console.get("/admin/models").content.decode()
    assert f'href="{PAGE}"' in page
    assert "Llama 3.3 Community License" in page
    assert "Expired" in page


def test_registered_model_is_tested_before_activation(console: Client, server: FakeServer) -> None:
    register(server.url)
    before = console.get(PAGE).content.decode()
    assert "Not tested yet" in before
    assert "/api/v1/models/mistral/activate" not in before
    tested = console.post(f"{PAGE}/test").content.decode()
    assert "4096 tokens of context" in tested
    assert "/api/v1/models/mistral/activate" in tested
    assert "Name the model where people see its answers." in tested


def test_unreachable_model_server_shows_a_message(console: Client) -> None:
    register()
    response = console.post(f"{PAGE}/test")
    assert response.status_code == 200
    assert "cannot be reached" in response.content.decode()


def test_expired_licence_offers_no_activation(console: Client, server: FakeServer) -> None:
    register(server.url, licence_ends=timezone.localdate() - timedelta(days=1))
    page = console.post(f"{PAGE}/test").content.decode()
    assert "The licence of this model has expired." in page
    assert "/api/v1/models/mistral/activate" not in page


def test_new_model_form_posts_to_the_models_api(console: Client) -> None:
    page = console.get("/admin/models/new").content.decode()
    assert 'data-api="/api/v1/models"' in page
    assert console.get("/admin/models/registry/nothing").status_code == 404


@pytest.mark.parametrize(
    ("route", "shown"),
    [
        ({"model": "gpt", "location": "outside", "reason": "allowed"}, "Written by gpt, an external model"),
        ({"model": "mistral", "location": "inside", "reason": ""}, "Written by mistral</p>"),
        ({"model": "SmolLM2-135M-Instruct", "location": "inside", "reason": ""}, ""),
        ({"model": "", "location": "", "reason": "no_model_may_read"}, ""),
    ],
)
def test_answers_name_their_model(
    console: Client,
    admin: Caller,  # noqa: F811 - the fixture
    route: dict[str, str],
    shown: str,
) -> None:
    talk = Conversation.objects.create(user=admin.user, title="Talk")
    message = Message.objects.create(
        conversation=talk, question="Why?", answer="So.", state="done", verdict="supported",
        mode="generated", trace={"route": route},
    )  # fmt: skip
    Conversation.objects.filter(pk=talk.pk).update(current=message)
    page = console.get(f"/conversations/{talk.id}").content.decode()
    assert "So." in page
    assert (shown in page) if shown else ("Written by" not in page)
