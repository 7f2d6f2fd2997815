"""Export of the user's own conversation, or one of its answers, as a file."""

from collections.abc import Sequence
from typing import Final, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import BaseModel

from cairn.audit.services import record
from retrieval.conversations.files import conversation_documents
from retrieval.conversations.services import (
    ShownMessage,
    conversation_for,
    load_shown_message,
    load_shown_path,
    message_for,
)
from retrieval.models import Conversation
from web.api.conversations.export_document import build_document
from web.api.conversations.export_formats import file_name, format_as_json, format_as_markdown
from web.api.framework.downloads import build_attachment
from web.api.schemas import answers_of
from web.exports import pdf, word
from web.http.authentication import needs, principal_of

router = Router(tags=["Conversations"], auth=needs("ask"))
messages = Router(tags=["Conversations"], auth=needs("ask"))
MEDIA_TYPES: Final = {
    "markdown": "text/markdown; charset=utf-8",
    "json": "application/json",
    "pdf": pdf.MEDIA_TYPE,
    "docx": word.MEDIA_TYPE,
}
FILES = {200: {"description": "OK", "content": {media_type: {} for media_type in MEDIA_TYPES.values()}}}


class ExportQuery(BaseModel):
    format: Literal["markdown", "json", "pdf", "docx"] = "markdown"


@router.get("/{conversation_id}/export", summary="Export a conversation", openapi_extra={"responses": FILES})
def conversation_export(
    request: HttpRequest, conversation_id: str, query: Query[ExportQuery]
) -> HttpResponse:
    """Exports the displayed path with citations, quotes and verdicts, without content you may no longer read,
    and the names of attached files. The export itself is logged.
    """
    principal = principal_of(request)
    row = conversation_for(principal, conversation_id)
    record(
        "conversation.exported",
        actor=principal.actor,
        subject=f"conversation:{row.id}",
        format=query.format,
    )
    names = list(conversation_documents(row, principal).values_list("latest_version__filename", flat=True))
    return _build_file(row, row.title, load_shown_path(row, principal), query.format, files=names)


@messages.get("/{message_id}/export", summary="Export an answer", openapi_extra={"responses": FILES})
def message_export(request: HttpRequest, message_id: str, query: Query[ExportQuery]) -> HttpResponse:
    """Exports one question and its answer, as the export of its conversation does, without its title."""
    principal = principal_of(request)
    row = message_for(principal, message_id)
    record("answer.exported", actor=principal.actor, subject=f"message:{row.id}", format=query.format)
    shown = [load_shown_message(row, principal)]
    return _build_file(row.conversation, row.question, shown, query.format)


def _build_file(
    conversation: Conversation,
    title: str,
    shown: Sequence[ShownMessage],
    form: str,
    files: Sequence[str] = (),
) -> HttpResponse:
    answers = answers_of(shown)
    content: str | bytes
    match form:
        case "pdf":
            content = pdf.write_pdf(title, build_document(title, answers, files))
        case "docx":
            content = word.write_word(title, build_document(title, answers, files))
        case "json":
            content = format_as_json(conversation, title, answers, files)
        case _:
            content = format_as_markdown(title, answers, files)
    return build_attachment(content, name=file_name(title, form), media_type=MEDIA_TYPES[form])
