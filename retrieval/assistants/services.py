"""Services that create, change and delete assistants. Each is one transaction with an audit event."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_noop

from cairn.access.grant_policy import Subject, require_may_open_assistant
from cairn.access.permissions import require_can_create_assistants
from cairn.access.scope import Principal
from cairn.access.selectors import requested_knowledge_bases
from cairn.access.services import EVERYONE, parse_subject, slug_reserve
from cairn.audit.services import record
from cairn.errors import Conflict, InvalidInput, NotFound
from cairn.library.models import KnowledgeBase
from cairn.settings.stored.store import effective_environment
from retrieval.assistants.models import Assistant, AssistantReader
from retrieval.assistants.selectors import visible_bases

MAX_INSTRUCTIONS: Final = 2000
"""Characters. They share the model's context with the passages."""
MAX_DESCRIPTION: Final = 500
MAX_QUESTIONS: Final = 6
MAX_BASES: Final = 50
MAX_SUBJECTS: Final = 200
CHANGED_MEANWHILE = gettext_noop(
    "Someone else changed this assistant after you opened it. Reload it before you change it again."
)


def assistant_create(
    *,
    principal: Principal,
    name: str,
    knowledge_bases: Collection[str],
    subjects: Iterable[str] = (),
    slug: str | None = None,
    **fields: Any,
) -> Assistant:
    """Create an assistant for knowledge bases that the principal may read. `fields`: other columns.

    Raises Forbidden if the principal may not create any, or not open it to these subjects; NotFound for a
    knowledge base that they may not read.
    """
    require_can_create_assistants(principal)
    with transaction.atomic():
        row = Assistant(name=name, created_by_id=principal.user)
        row.slug = slug_reserve(name, principal, slug=slug, fallback="assistant")
        _set_columns(row, fields)
        row.save()
        _replace_bases(row, knowledge_bases, principal)
        _replace_subjects(row, subjects, principal)
        record("assistant.created", actor=principal.actor, subject=f"assistant:{row.id}")
    return row


def assistant_update(
    *, assistant: Assistant, principal: Principal, changes: Mapping[str, Any], version: int | None = None
) -> Assistant:
    """Change what `changes` contains. Raises Conflict if the assistant no longer has this `version`.

    Knowledge bases that the principal may not read stay: they can't see that these are selected.
    """
    fields = dict(changes)
    with transaction.atomic():
        row = Assistant.objects.select_for_update().filter(pk=assistant.pk).first()
        if row is None:
            raise NotFound
        if version not in {None, row.version}:
            raise Conflict(CHANGED_MEANWHILE)
        if "knowledge_bases" in fields:
            _replace_bases(row, fields.pop("knowledge_bases"), principal)
        if "subjects" in fields:
            _replace_subjects(row, fields.pop("subjects"), principal)
        _set_columns(row, fields)
        row.version += 1
        row.save()
        record(
            "assistant.changed",
            actor=principal.actor,
            subject=f"assistant:{row.id}",
            fields=sorted(changes),
            version=row.version,
        )
    return row


def assistant_delete(*, assistant: Assistant, principal: Principal) -> None:
    """Delete the assistant. Its conversations stay, and can be read but not continued."""
    with transaction.atomic():
        record("assistant.deleted", actor=principal.actor, subject=f"assistant:{assistant.id}")
        assistant.delete()


def _set_columns(assistant: Assistant, fields: Mapping[str, Any]) -> None:
    for field, value in fields.items():
        setattr(assistant, field, value)
    if fields.get("model") and fields["model"] not in configured_models():
        raise InvalidInput(gettext_noop("This language model isn’t configured."))
    if "starter_questions" in fields:
        lines = [" ".join(question.split()) for question in fields["starter_questions"]]
        assistant.starter_questions = list(dict.fromkeys(filter(None, lines)))


def configured_models() -> list[str]:
    """Return the names, as the settings have them, of the chat models that an assistant can use."""
    return list(filter(None, [effective_environment().chat_model_name]))


def _replace_bases(assistant: Assistant, values: Collection[str], principal: Principal) -> None:
    requested = set(requested_knowledge_bases(principal, values) or ())
    current: set[UUID] = set(assistant.knowledge_bases.values_list("id", flat=True))
    hidden = current - {base.id for base in visible_bases([assistant], principal)[assistant.pk]}
    selected = [*requested, *(hidden - requested)]
    assistant.knowledge_bases.set(KnowledgeBase.objects.filter(id__in=selected))


def _replace_subjects(assistant: Assistant, texts: Iterable[str], principal: Principal) -> None:
    requested = {parse_subject(text) for text in texts}
    existing: set[Subject] = set(assistant.readers.values_list("user", "group"))
    if assistant.everyone:
        existing.add(parse_subject(EVERYONE))
    require_may_open_assistant(principal, requested, existing)
    assistant.everyone = (None, None) in requested
    assistant.save(update_fields=["everyone"])
    assistant.readers.all().delete()
    AssistantReader.objects.bulk_create(
        AssistantReader(assistant=assistant, user_id=user, group_id=group)
        for user, group in sorted(requested, key=str)
        if user or group
    )
