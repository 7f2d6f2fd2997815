"""An upgrade derives from recorded answers which knowledge bases old conversations are confined to."""

from importlib import import_module
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps

from cairn.access.principals import principal_for_user
from cairn.access.scope import MAX_RECORDED_KNOWLEDGE_BASES, Principal, Scope
from cairn.accounts.services import user_create
from retrieval.conversations.services import conversation_start
from retrieval.models import Conversation, Message

pytestmark = pytest.mark.django_db
MIGRATION = import_module("retrieval.migrations.0011_confine_conversations")
ONE, TWO = str(uuid4()), str(uuid4())
MANY = [str(uuid4()) for _ in range(MAX_RECORDED_KNOWLEDGE_BASES + 1)]


@pytest.fixture
def kim(db: None) -> Principal:
    return principal_for_user(user_create(username="kim"))


@pytest.mark.parametrize(
    ("traces", "bases"),
    [
        ([{"knowledge_bases": [ONE], "whole": False}], {ONE}),
        ([{"knowledge_bases": [ONE], "whole": True}, {"knowledge_bases": [TWO], "whole": False}], {ONE, TWO}),
        ([{"knowledge_bases": MANY, "whole": False}], set(MANY)),
        ([{"knowledge_bases": MANY, "whole": True}], None),
        ([{"knowledge_bases": [ONE], "whole": False}, {"hits": []}], None),
        ([{"knowledge_bases": [], "whole": True}], None),
        ([], None),
    ],
)
def test_unknown_sources_are_not_in_scope(
    kim: Principal, traces: list[dict[str, Any]], bases: set[str] | None
) -> None:
    other = conversation_start(principal=kim, question="Another?")
    Message.objects.create(conversation=other, question="Another?", trace={"knowledge_bases": [TWO]})
    conversation = conversation_start(principal=kim, question="Why?")
    for trace in traces:
        Message.objects.create(conversation=conversation, question="Why?", trace=trace)
    MIGRATION.confine(apps, None)
    found = Conversation.objects.get(pk=conversation.pk)
    assert found.confined is (bases is not None)
    assert {str(row.knowledge_base) for row in found.bases.all()} == (bases or set())


def test_question_in_too_many_knowledge_bases_is_not_confined(kim: Principal) -> None:
    many = frozenset(uuid4() for _ in range(MAX_RECORDED_KNOWLEDGE_BASES + 1))
    few = frozenset([uuid4()])
    assert Scope(kim, few, whole=True).confined_to == few
    assert Scope(kim, many, whole=False).confined_to == many
    assert Scope(kim, many, whole=True).confined_to is None
    assert Scope(kim, whole=True).confined_to is None
