"""Export of the user's own conversation as a file."""

from typing import Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import BaseModel

from cairn.audit.services import record
from retrieval.conversations.services import conversation_for, load_shown_path
from web.api.conversations.export_formats import MEDIA_TYPES, file_name, format_conversation
from web.api.framework.downloads import build_attachment
from web.http.authentication import needs, principal_of

router = Router(tags=["Conversations"], auth=needs("ask"))
FILES = {200: {"description": "OK", "content": {media_type: {} for media_type in MEDIA_TYPES.values()}}}


class ExportQuery(BaseModel):
    format: Literal["markdown", "json"] = "markdown"


@router.get("/{conversation_id}/export", openapi_extra={"responses": FILES})
def conversation_export(
    request: HttpRequest, conversation_id: str, query: Query[ExportQuery]
) -> HttpResponse:
    """Exports the displayed path with citations, quotes and verdicts, without content you may no longer read.
    The export itself is logged.
    """
    principal = principal_of(request)
    row = conversation_for(principal, conversation_id)
    record(
        "conversation.exported",
        actor=principal.actor,
        subject=f"conversation:{row.id}",
        format=query.format,
    )
    text = format_conversation(row, load_shown_path(row, principal), query.format)
    return build_attachment(text, name=file_name(row, query.format), media_type=MEDIA_TYPES[query.format])
