"""Totals, lists, cursors, scores and error texts don't reveal unreadable documents."""

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.accounts.models import User
from cairn.library.models import Document, KnowledgeBase, VersionState
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from ingestion.models import Import, Job, Stage
from retrieval.engine import Engine
from tests.bases import make_base
from tests.web.api.conftest import indexed
from tests.web.security.guards import Door
from tests.web.security.matrix import from_elsewhere
from tests.web.security.routes import ROUTES
from tests.web.security.test_attacks import sent
from tests.web.security.test_ids import visible_response
from tests.web.security.world import SECRET, Ticket, World

pytestmark = pytest.mark.slow

PEOPLE = ("without a grant", "reader", "editor", "admin viewing as reader")
OTHERWISE = {"/metrics", "/api/docs"}
"""The one tells of the machine, to whom that concerns; the other has a new token each time."""
QUERIES = [
    {"query": query, "top_k": top_k, "ranking": ranking}
    for query in ("Umbra merger", "When does the merger close?", '"14 June"', "dollars a share", "zebra")
    for ranking in ("hybrid", "dense", "bm25", "rrf")
    for top_k in (1, 100)
]


def read_all_responses(ticket: Ticket, world: World, client: Client) -> dict[str, Any]:
    """Return what the person learns from every reading route, and from searches."""
    found = {}
    for route in ROUTES:
        if route.method != "GET" or route.door is Door.PUBLIC or route.path in OTHERWISE:
            continue
        for limit in ("", "limit=1") if route.door is Door.API else ("",):
            response = sent(route, world, client, ticket, query=limit)
            if not response.streaming:
                found[f"{route}?{limit}"] = visible_response(response)
    for query in QUERIES:
        body = json.dumps(query)
        ticket.come(client)
        response = client.post("/api/v1/search", body, content_type="application/json")
        found[f"search {body}"] = visible_response(response)
    return found


def document_hidden(
    base: KnowledgeBase, owner: Principal, name: str, *, batch: Import | None = None, **options: Any
) -> Document:
    """Restrict the document to the managers of its knowledge base."""
    file = SimpleUploadedFile(name, name.encode())
    made = document_submit(
        Upload(file, name, readers=[], batch=batch, **options), knowledge_base=base, principal=owner
    )
    return made.document


def hide_more(world: World, parts: Engine) -> None:
    """Ready, failed and waiting; like what may be read and unlike it; here and elsewhere."""
    base = KnowledgeBase.objects.get(pk=world.things["knowledge_base_id"])
    owner = principal_for_user(User.objects.get(username="manager"))
    board = make_base(name="Board", principal=owner)
    batch = Import.objects.get(pk=world.things["import_id"])
    for number, text in enumerate([SECRET, "The merger costs 42 dollars a share.", "The zebra has stripes."]):
        indexed(document_hidden(base, owner, f"hidden-{number}.md", title=text), parts, text)
        indexed(document_hidden(board, owner, f"board-{number}.md", title=text), parts, text, text)
    document_hidden(base, owner, "waiting.md")
    document_hidden(base, owner, "in-import.md", batch=batch)
    failed = document_hidden(base, owner, "failed.md", batch=batch).latest_version
    assert failed is not None
    failed.state, failed.error_code, failed.error_message = VersionState.FAILED, "no_text", "It is empty."
    failed.save()
    Job.objects.filter(version=failed).update(stage=Stage.FAILED)


@pytest.mark.parametrize("name", PEOPLE)
def test_hidden_documents_change_nothing_for_unauthorised_users(
    world: World, parts: Engine, name: str
) -> None:
    [ticket] = [ticket for ticket in world.tickets if ticket.actor.name == name]
    client = from_elsewhere()
    before = read_all_responses(ticket, world, client)
    hide_more(world, parts)
    after = read_all_responses(ticket, world, client)
    differing = [f"{name}\n{before[name]}\n{after[name]}" for name in before if before[name] != after[name]]
    assert not differing, "\n\n".join(differing)
    assert len(before) > 100
    searches = [before[name] for name in before if name.startswith("search ")]
    assert {status for status, _, _ in searches} == {200}
    finds = any(SECRET in text for _, text, _ in searches)
    assert finds == (name != "without a grant")
