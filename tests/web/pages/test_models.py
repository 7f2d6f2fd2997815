"""The models: what is configured, without keys, and whether it answers; and the index's generations."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from cairn.access.models import Role
from cairn.accounts.models import User
from cairn.audit.models import Event
from cairn.errors import Unavailable
from cairn.inference import registry
from cairn.inference.chat.model import LlamaIndexChatModel
from cairn.inference.chat.text_stream import Channel, TextStream
from cairn.library.models import Document
from ingestion.models import SampleDocument
from retrieval.models import GenerationState, IndexGeneration
from tests.web.pages.conftest import text_of
from web.pages.console import models as page

SignIn = Callable[[User], Client]
PAGE, CHECK, GENERATIONS = "/admin/models", "/admin/models/check", "/admin/models/generations"
KEY = "sk-never-to-be-shown"


def chat(opener: Callable[..., TextStream]) -> LlamaIndexChatModel:
    return LlamaIndexChatModel("small", 2048, llm=None, opener=opener)  # type: ignore[arg-type] # never asked


def says(*pieces: str) -> Callable[..., TextStream]:
    def opened(_messages: object, _max_tokens: int) -> TextStream:
        channel = Channel()
        for piece in pieces:
            channel.put(piece)
        channel.end()
        return TextStream(channel)

    return opened


def is_away(_messages: object, _max_tokens: int) -> TextStream:
    raise Unavailable(f"The server said: wrong key {KEY}")


def takes_long(_messages: object, _max_tokens: int) -> TextStream:
    time.sleep(0.5)
    raise Unavailable


@pytest.fixture
def active(db: None) -> IndexGeneration:
    return IndexGeneration.objects.create(
        name="one",
        embedding_model="m",
        encoder="all-MiniLM-L6-v2",
        dimension=384,
        state=GenerationState.ACTIVE,
    )


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> None:
    given = page.effective_environment().model_copy(
        update={
            "llm_base_url": "http://user:hunter2@llm.example.org:8080/v1",
            "llm_model": "mistral<script>",
            "llm_api_key": type("Secret", (), {"get_secret_value": lambda _self: KEY})(),
        }
    )
    monkeypatch.setattr(page, "effective_environment", lambda: given)


def test_models_page_needs_an_admin(
    signed_in: SignIn, mia: User, base: object, active: IndexGeneration
) -> None:
    client = signed_in(mia)
    for answer in (client.get(PAGE), client.post(CHECK, {"model": "chat"}), client.get(GENERATIONS)):
        assert answer.status_code == 403


def test_models_page_shows_hosts_without_keys_or_passwords(
    signed_in: SignIn, admin: User, active: IndexGeneration, served: None
) -> None:
    html = text_of(signed_in(admin).get(PAGE))
    assert "llm.example.org:8080" in html
    assert "mistral&lt;script&gt;" in html
    assert "all-MiniLM-L6-v2" in html
    for secret in (KEY, "hunter2", "user:", "/v1<"):
        assert secret not in html
    assert html.count("Not configured (optional)") == 3


def test_demonstration_model_is_flagged_to_admins(
    signed_in: SignIn,
    admin: User,
    active: IndexGeneration,
    document: Document,
    grant: Callable[[User, Role], None],
) -> None:
    client = signed_in(admin)
    html = text_of(client.get(PAGE))
    assert "Answers are quotes: this language model is for demonstration only." in html
    assert "See docs/operate/language-models.md." in html
    Document.objects.filter(pk=document.pk).update(source_uri="docs/operate/language-models.md")
    SampleDocument.objects.create(document=document)
    grant(admin, Role.READER)
    link = f'<a href="/library/documents/{document.id}">Choose another model</a>'
    assert link in text_of(client.get(PAGE))


def test_other_models_have_no_demonstration_notice(
    signed_in: SignIn, admin: User, active: IndexGeneration, served: None
) -> None:
    assert "demonstration" not in text_of(signed_in(admin).get(PAGE))


def test_model_check_shows_its_duration_and_is_audited(
    signed_in: SignIn, admin: User, active: IndexGeneration
) -> None:
    with registry.use(chat=chat(says("pong"))):
        html = text_of(signed_in(admin).post(CHECK, {"model": "chat"}))
    assert re.search(r"OK, [\d,]+ ms", html)
    assert "2048 tokens of context" in html
    event = Event.objects.get(action="models.checked")
    assert (event.subject, event.actor, event.detail["answered"]) == ("model:chat", admin.id, True)


def test_failed_model_check_shows_the_reason_without_the_key(
    signed_in: SignIn, admin: User, active: IndexGeneration, served: None
) -> None:
    with registry.use(chat=chat(is_away)):
        html = text_of(signed_in(admin).post(CHECK, {"model": "chat"}))
    assert "The server said: wrong key …" in html
    assert KEY not in html
    assert Event.objects.get(action="models.checked").detail["answered"] is False


def test_model_check_times_out(
    signed_in: SignIn, admin: User, active: IndexGeneration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "LIMIT_SECONDS", 0.05)
    with registry.use(chat=chat(takes_long)):
        html = text_of(signed_in(admin).post(CHECK, {"model": "chat"}))
    assert "No response within 0.05 seconds." in html


@pytest.mark.parametrize("kind", ["", "reranker", "../chat"])
def test_unconfigured_model_cannot_be_checked(
    signed_in: SignIn, admin: User, active: IndexGeneration, kind: str
) -> None:
    assert signed_in(admin).post(CHECK, {"model": kind}).status_code == 404
    assert not Event.objects.filter(action="models.checked").exists()


def test_index_page_shows_only_applicable_actions(
    signed_in: SignIn, admin: User, active: IndexGeneration
) -> None:
    client = signed_in(admin)
    apis: dict[str, tuple[dict[str, Any] | None, set[str]]] = {
        "alone": (None, {"generations"}),
        "building": ({"state": GenerationState.BUILDING}, set()),
        "ready": ({"state": GenerationState.READY}, {"swap"}),
        "worse": ({"state": GenerationState.READY, "comparison": WORSE}, {"swap"}),
        "retired": ({"state": GenerationState.RETIRED}, {"generations", "rollback"}),
    }
    for name, (fields, expected) in apis.items():
        IndexGeneration.objects.exclude(pk=active.pk).delete()
        if fields:
            IndexGeneration.objects.create(name=name, embedding_model="m", encoder="e", dimension=3, **fields)
        html = text_of(client.get(PAGE))
        assert {
            api for api in ("generations", "swap", "rollback") if f'data-api="/api/v1/index/{api}"' in html
        } == (expected), name
        assert ('name="force"' in html) is (name == "worse")


WORSE = {"questions": 5, "before": {"mrr": 0.9}, "after": {"mrr": 0.5}, "worse": ["mrr"]}


def test_changed_index_state_reloads_the_page(
    signed_in: SignIn, admin: User, active: IndexGeneration
) -> None:
    client = signed_in(admin)
    seen = "one-active-0"
    assert "HX-Refresh" not in client.get(GENERATIONS, {"seen": seen}).headers
    row = IndexGeneration.objects.create(
        name="two", embedding_model="m", encoder="e", dimension=3, error="<b>disk full</b>"
    )
    answer = client.get(GENERATIONS, {"seen": seen})
    assert answer.headers["HX-Refresh"] == "true"
    assert "&lt;b&gt;disk full" in text_of(answer)
    assert f"two-building-0.{seen}" == page._encode_states(page._generations()), row
