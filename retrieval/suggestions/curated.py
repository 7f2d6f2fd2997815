"""Example questions that the managers of a knowledge base chose."""

from collections.abc import Iterable
from typing import Final

from django.db import transaction

from cairn.access.scope import Principal
from cairn.audit.services import record
from cairn.library.models import KnowledgeBase
from retrieval.suggestions.models import ExampleQuestion

MAX_EXAMPLES: Final = 20
MAX_EXAMPLE_CHARACTERS: Final = 200


def examples_of(knowledge_base: KnowledgeBase) -> list[str]:
    rows = ExampleQuestion.objects.filter(knowledge_base=knowledge_base)
    return list(rows.values_list("question", flat=True))


def examples_replace(
    *, knowledge_base: KnowledgeBase, questions: Iterable[str], principal: Principal
) -> list[str]:
    """Replace the example questions, in this order. Repeated and empty ones are left out."""
    lines = [" ".join(question.split()) for question in questions]
    unique = list(dict.fromkeys(filter(None, lines)))
    with transaction.atomic():
        # Locked, so that two changes at once don't leave both lists behind.
        KnowledgeBase.objects.select_for_update().get(pk=knowledge_base.pk)
        ExampleQuestion.objects.filter(knowledge_base=knowledge_base).delete()
        ExampleQuestion.objects.bulk_create(
            ExampleQuestion(knowledge_base=knowledge_base, question=question, position=position)
            for position, question in enumerate(unique)
        )
        record(
            "knowledge_base.examples_changed",
            actor=principal.actor,
            subject=f"knowledge-base:{knowledge_base.id}",
            questions=len(unique),
        )
    return unique
