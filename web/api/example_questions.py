"""Example questions of a knowledge base."""

from typing import Annotated

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field, StringConstraints

from cairn.access.models import Role
from cairn.access.selectors import knowledge_base_for
from retrieval.suggestions.curated import (
    MAX_EXAMPLE_CHARACTERS,
    MAX_EXAMPLES,
    examples_of,
    examples_replace,
)
from web.api.framework.fields import Body
from web.api.knowledge_bases import MANAGES, READS
from web.http.authentication import principal_of

in_knowledge_base = Router(tags=["Knowledge bases"])
ExampleText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_EXAMPLE_CHARACTERS)
]


class NewExamples(Body):
    questions: Annotated[list[ExampleText], Field(max_length=MAX_EXAMPLES)]


class Examples(BaseModel):
    questions: list[str] = Field(description="In the order in which they are suggested")


@in_knowledge_base.get(
    "/{knowledge_base_id}/example-questions",
    summary="List example questions",
    response=Examples,
    auth=READS,
)
def example_list(request: HttpRequest, knowledge_base_id: str) -> Examples:
    """Lists the questions that its managers chose to suggest to its readers."""
    return Examples(questions=examples_of(knowledge_base_for(principal_of(request), knowledge_base_id)))


@in_knowledge_base.put(
    "/{knowledge_base_id}/example-questions",
    summary="Replace the example questions",
    response=Examples,
    auth=MANAGES,
)
def example_replace(request: HttpRequest, knowledge_base_id: str, payload: NewExamples) -> Examples:
    """Requires the role manager. Replaces the list: questions are added, moved and removed by sending it
    again.
    """
    principal = principal_of(request)
    row = knowledge_base_for(principal, knowledge_base_id, role=Role.MANAGER)
    return Examples(
        questions=examples_replace(knowledge_base=row, questions=payload.questions, principal=principal)
    )
