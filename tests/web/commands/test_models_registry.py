"""`manage.py models list`, `activate` and `route`."""

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command

from cairn.accounts.models import User
from cairn.library.models import Document, KnowledgeBase
from cairn.settings.stored.models import RegisteredModel
from cairn.settings.stored.store import forget_snapshot
from retrieval.models import Conversation, Message
from tests.cairn.inference.server import FakeServer
from tests.cairn.inference.test_checking import listed, writes

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        fake.respond = writes
        listed(fake, {"id": "mistral", "max_model_len": 4096})
        yield fake


def registered(name: str, url: str = "http://127.0.0.1:9/v1", **more: Any) -> RegisteredModel:
    row = RegisteredModel.objects.create(name=name, base_url=url, model="mistral", licence="mit", **more)
    forget_snapshot()
    return row


def run(*options: str) -> str:
    out = StringIO()
    call_command("models", *options, stdout=out)
    return out.getvalue()


def test_models_are_listed_with_adapters_below_their_base() -> None:
    assert "No models are registered" in run("list")
    base = registered("mistral", status="active", licence_ends="2020-01-01")
    registered("legal", base=base)
    registered("zephyr", location="outside")
    lines = run("list").splitlines()
    assert [line.split()[1] for line in lines] == ["mistral", "legal", "zephyr"]
    assert "active" in lines[0]
    assert "the licence has expired" in lines[0]
    rows = json.loads(run("list", "--json"))["models"]
    assert [(row["name"], row["base"]) for row in rows] == [
        ("mistral", None), ("legal", "mistral"), ("zephyr", None),
    ]  # fmt: skip


def test_model_is_tested_and_activated(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    registered("mistral", server.url)
    assert run("activate", "mistral") == "mistral answers from now on.\n"
    row = RegisteredModel.objects.get(name="mistral")
    assert (row.status, row.measured["context_tokens"]) == ("active", 4096)
    registered("away")
    for name, problem in (("away", "cannot be reached"), ("nothing", "no model “nothing”")):
        with pytest.raises(SystemExit):
            run("activate", name)
        assert problem in capsys.readouterr().err
    assert RegisteredModel.objects.get(name="away").status == "candidate"


def test_recent_questions_are_routed_by_todays_rules() -> None:
    secret = KnowledgeBase.objects.create(name="Contracts", slug="contracts", outside_models="forbid")
    public = KnowledgeBase.objects.create(name="Visitors", slug="visitors")
    first, second = (
        Document.objects.create(knowledge_base=base, title="x", source_key="x") for base in (secret, public)
    )
    talk = Conversation.objects.create(user=User.objects.create(username="una"), title="Talk")
    after_secret = ask(talk, [first.id])
    ask(talk, [second.id], parent=after_secret)
    ask(talk, [second.id])
    ask(talk, [])
    ask(talk, [uuid4()])
    registered("cloud", location="outside", status="active")
    found = json.loads(run("route", "--json"))
    assert found["routes"] == {"outside": 1, "quotes": 3, "no_passages": 1}
    assert found["forbidding"] == {"Contracts": 2, "": 1}
    registered("own", status="active")
    assert json.loads(run("route", "--json"))["routes"]["inside"] == 3
    assert json.loads(run("route", "--last", "2", "--json"))["routes"] == {"inside": 1, "no_passages": 1}
    text = run("route")
    assert "to the outside model" in text
    assert "Contracts" in text


def test_route_preview_defaults_to_an_inside_model() -> None:
    base = KnowledgeBase.objects.create(name="Visitors", slug="visitors")
    document = Document.objects.create(knowledge_base=base, title="x", source_key="x")
    talk = Conversation.objects.create(user=User.objects.create(username="una"), title="Talk")
    ask(talk, [document.id])
    assert json.loads(run("route", "--json"))["routes"] == {"inside": 1}
    assert json.loads(run("route", "--location", "outside", "--json"))["routes"] == {"outside": 1}


def ask(talk: Conversation, documents: list[Any], *, parent: Message | None = None) -> Message:
    hits = [{"document": str(each), "chunk": str(uuid4()), "score": 1.0} for each in documents]
    return Message.objects.create(conversation=talk, parent=parent, question="Why?", trace={"hits": hits})
