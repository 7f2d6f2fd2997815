"""The figures of what was asked before they were written down."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db import migrations
from django.db.models import Max

AT_ONCE = 500
BASES_AT_MOST = 100


def count(apps: Any, schema_editor: Any) -> None:
    homes = dict(apps.get_model("library", "Document").objects.values_list("id", "knowledge_base"))
    ended = apps.get_model("retrieval", "Message").objects.exclude(state="running").order_by("id")
    rows = ended.select_related("conversation").prefetch_related("citations")
    last = None
    while some := list((rows.filter(id__gt=last) if last else rows)[:AT_ONCE]):
        _count_some(apps, some, homes)
        last = some[-1].id


def _count_some(apps: Any, messages: Iterable[Any], homes: Mapping[UUID, UUID]) -> None:
    Asked = apps.get_model("statistics", "AskedQuestion")
    Base = apps.get_model("statistics", "AskedBase")
    rows = Asked.objects.bulk_create([_figures(Asked, message) for message in messages])
    Base.objects.bulk_create(
        Base(question=row, knowledge_base_id=base, second=row.second)
        for row, message in zip(rows, messages, strict=True)
        for base in _bases(message, homes)
    )


def _figures(asked: Any, message: Any) -> Any:
    first, total = (message.timings.get(name) for name in ("first_token_ms", "total_ms"))
    return asked(
        message_id=message.id,
        second=int(message.created_at.timestamp()),
        user=message.conversation.user_id,
        verdict=message.verdict,
        rating=message.rating,
        model=message.model,
        prompt_tokens=message.usage.get("prompt_tokens", 0),
        completion_tokens=message.usage.get("completion_tokens", 0),
        first_token_ms=None if first is None else round(first),
        total_ms=None if total is None else round(total),
    )


def _bases(message: Any, homes: Mapping[UUID, UUID]) -> set[UUID]:
    cited = [citation.document_id for citation in message.citations.all()]
    near = [UUID(str(item["document"])) for item in message.nearest]
    found = {homes[document] for document in cited or near if document in homes}
    asked = {UUID(base) for base in message.trace.get("knowledge_bases", ())} & set(homes.values())
    return found or (asked if len(asked) <= BASES_AT_MOST else set())


def use(apps: Any, schema_editor: Any) -> None:
    Citation, Use = apps.get_model("retrieval", "Citation"), apps.get_model("statistics", "DocumentUse")
    last = Citation.objects.order_by().values("document").annotate(at=Max("message__created_at"))
    Use.objects.bulk_create(
        [Use(document_id=row["document"], cited_on=row["at"].date()) for row in last.iterator(AT_ONCE)],
        batch_size=AT_ONCE,
    )


class Migration(migrations.Migration):
    dependencies = [("statistics", "0001_initial")]
    operations = [
        migrations.RunPython(count, migrations.RunPython.noop),
        migrations.RunPython(use, migrations.RunPython.noop),
    ]
