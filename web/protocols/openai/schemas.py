"""Request schema of chat completions. Unused parameters, such as `temperature`, are ignored."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from web.api.framework.fields import Count, Flag
from web.api.framework.problems import InvalidFields, invalid_field

QUESTION_CHARACTERS = 4000
MESSAGES_AT_MOST = 1000
Text = Annotated[str, StringConstraints(max_length=1_000_000)]


class TextPart(BaseModel):
    type: Literal["text"]
    text: Text


class Message(BaseModel):
    """A message. System and tool messages are ignored: answers come from documents only."""

    role: Annotated[str, StringConstraints(max_length=20)]
    content: Text | Annotated[list[TextPart], Field(max_length=100)] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content).strip()
        return (self.content or "").strip()


class StreamOptions(BaseModel):
    include_usage: Flag = False


class ResponseFormat(BaseModel):
    type: Literal["text"] = "text"


class ChatCompletion(BaseModel):
    """A request. `tools` are accepted but never called."""

    model: Annotated[str, StringConstraints(max_length=200)]
    messages: Annotated[list[Message], Field(min_length=1, max_length=MESSAGES_AT_MOST)]
    stream: Flag | None = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[Count, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[Count, Field(ge=1)] | None = None
    n: Annotated[Count, Field(ge=1, le=1)] | None = None
    response_format: ResponseFormat | None = None

    @property
    def question(self) -> str:
        """Return the last message. Raises InvalidFields."""
        last = self.messages[-1]
        if last.role != "user" or not last.text:
            raise _of_last("The last message must be a question from the user")
        if len(last.text) > QUESTION_CHARACTERS:
            raise _of_last(f"A question can have up to {QUESTION_CHARACTERS} characters")
        return last.text

    @property
    def most_tokens(self) -> int | None:
        return min(filter(None, (self.max_tokens, self.max_completion_tokens)), default=None)

    @property
    def with_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


def _of_last(message: str) -> InvalidFields:
    return invalid_field("body", "messages", message=message)
