"""Questions to ask next."""

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from cairn.access.scope import Principal
from cairn.answers import AnswerMode
from retrieval.conversations.services import ShownMessage, load_shown_message, own_message
from retrieval.suggestions.message_suggestions import suggestions_after
from web.api.schemas import Answer
from web.http.authentication import needs, principal_of

of_message = Router(tags=["Conversations"], auth=needs("ask"))


class Suggestions(BaseModel):
    questions: list[str] = Field(description="Up to three questions, which documents you can read answer")


@of_message.get("/{message_id}/suggestions", summary="Get follow-up questions", response=Suggestions)
def message_suggestions(request: HttpRequest, message_id: str) -> Suggestions:
    """Returns questions to ask next. They differ from time to time."""
    principal = principal_of(request)
    shown = load_shown_message(own_message(principal, message_id), principal)
    return Suggestions(questions=suggestions_after(principal, shown))


def examples_after(answer: Answer, shown: ShownMessage, principal: Principal) -> list[str]:
    """Return example questions for programs that show nothing but the text of a reply to small talk."""
    return suggestions_after(principal, shown) if answer.mode == AnswerMode.SMALL_TALK else []


def list_questions(questions: list[str]) -> str:
    """Format the questions as Markdown to append to a text."""
    return "\n\n" + "\n".join(f"- {question}" for question in questions) if questions else ""
