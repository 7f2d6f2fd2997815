"""Services that change, review and delete documents and knowledge bases, each in one transaction."""

import uuid
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from cairn.access.audience import people_reading
from cairn.access.models import Role
from cairn.access.permissions import role_in
from cairn.access.scope import Principal
from cairn.access.selectors import parse_id
from cairn.access.services import readers_replace
from cairn.accounts.models import User
from cairn.audit.services import record
from cairn.errors import Forbidden, InvalidInput, NotFound
from cairn.hidden_characters import visible
from cairn.library.models import Document, KnowledgeBase, Tag
from cairn.messages import CodedMessage
from ingestion import broker
from ingestion.imports.services import item_record
from ingestion.jobs.lifecycle import cancel_all
from ingestion.models import Import, Job, Outcome, Receipt, SourceItem
from retrieval.suggestions.services import suggestions_replace

MAX_TAGS = 50
REVIEW_DAYS = 365


def document_update(*, document: Document, principal: Principal, changes: Mapping[str, Any]) -> Document:
    """Change any of title, metadata, readers, owner (a user id), review_by, review_days and
    forbids_outside_models."""
    with transaction.atomic():
        # As it is now: a worker may have flipped its version meanwhile.
        row = Document.objects.select_for_update(of=("self",)).with_versions().get(pk=document.pk)
        _require_may_allow_outside_models(row, changes, principal)
        apply_changes(row, changes, principal)
        record(
            "document.changed",
            actor=principal.actor,
            subject=f"document:{document.id}",
            fields=sorted(changes),
        )
    return Document.objects.with_versions().get(pk=document.pk)


def _require_may_allow_outside_models(
    document: Document, changes: Mapping[str, Any], principal: Principal
) -> None:
    """Raise Forbidden if others than managers let outside models read a document that forbids it."""
    lifts = document.forbids_outside_models and changes.get("forbids_outside_models") is False
    if lifts and role_in(principal, document.knowledge_base) != Role.MANAGER:
        raise Forbidden(gettext_noop("Only managers can allow models outside the organisation."))


def apply_changes(document: Document, changes: Mapping[str, Any], principal: Principal) -> None:
    if "title" in changes:
        document.title, document.title_given = visible(changes["title"]).strip() or document.title, True
    if "owner" in changes:
        document.owner = _owner(document, changes["owner"])
    if "review_by" in changes:
        document.review_by = _date(changes["review_by"])
    if "review_days" in changes:
        document.review_days = changes["review_days"]
    if "forbids_outside_models" in changes:
        document.forbids_outside_models = changes["forbids_outside_models"]
    if "metadata" in changes:
        document.metadata = _visible_in(dict(changes["metadata"]))
        _tags_replace(document)
        document.index_stale = True
    document.save()
    if "title" in changes:
        suggestions_replace(document)
    if "readers" in changes:
        requested = changes["readers"]
        readers = ["everyone"] if requested is None else requested
        readers_replace(document=document, readers=readers, actor=principal.actor)
    if document.index_stale:
        transaction.on_commit(lambda: broker.enqueue_refresh(document.id), robust=True)


def document_review(*, document: Document, principal: Principal, days: int | None = None) -> Document:
    """Mark the document as reviewed. The next review is due after `days`, or the previous interval."""
    interval = days or document.review_days or REVIEW_DAYS
    with transaction.atomic():
        # Not by `save`: the index need not hear of it.
        Document.objects.filter(pk=document.pk).update(
            reviewed_at=timezone.now(),
            review_days=interval,
            review_by=timezone.localdate() + timedelta(days=interval),
        )
        record("document.reviewed", actor=principal.actor, subject=f"document:{document.id}", days=interval)
    return Document.objects.with_versions().get(pk=document.pk)


def _visible_in(value: Any) -> Any:
    """Strip hidden characters from all names and values of a JSON value."""
    match value:
        case str():
            return visible(value)
        case dict():
            return {visible(name): _visible_in(each) for name, each in value.items()}
        case list():
            return [_visible_in(each) for each in value]
        case _:
            return value


def _owner(document: Document, value: object) -> User | None:
    """Return the new owner. Raises InvalidInput unless they may read the document."""
    if value is None:
        return None
    try:
        return people_reading(document).get(pk=parse_id(value))
    except (User.DoesNotExist, NotFound) as error:
        raise InvalidInput(gettext_noop("The owner can’t read this document.")) from error


def _date(value: object) -> date | None:
    if value is None or isinstance(value, date):
        return value
    raise InvalidInput(gettext_noop("review_by isn’t a valid date."))


def _tags_replace(document: Document) -> None:
    tags = document.metadata.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) and 0 < len(tag) <= 100 for tag in tags):
        raise InvalidInput(
            gettext_noop("metadata.tags must be a list of strings with 1 to 100 characters each.")
        )
    if len(tags) > MAX_TAGS:
        raise InvalidInput(CodedMessage("too_many_tags", limit=MAX_TAGS))
    document.tags.all().delete()
    Tag.objects.bulk_create(Tag(document=document, name=name) for name in dict.fromkeys(tags))


def document_delete(
    *, document: Document, principal: Principal | None, batch: Import | None = None
) -> Receipt:
    """Remove a document from all results immediately; a worker erases it. Without a principal: by
    schedule."""
    with transaction.atomic():
        changed = Document.objects.filter(pk=document.pk, deleted_at=None).update(deleted_at=timezone.now())
        if not changed:
            raise NotFound
        for inside in Document.objects.levels_in(document):
            inside.filter(deleted_at=None).update(deleted_at=timezone.now())
            cancel_all(Job.objects.filter(version__document__in=inside))
        if batch:
            item_record(
                batch=batch, source_uri=document.source_uri, outcome=Outcome.REMOVED, document=document
            )
        elif principal:  # a sync must not restore a deleted document
            SourceItem.objects.filter(document=document).update(excluded=True)
        return _erasure(f"document:{document.id}", document.knowledge_base_id, principal)


def knowledge_base_delete(*, knowledge_base: KnowledgeBase, principal: Principal | None) -> Receipt:
    """Delete a knowledge base. Without a principal: by the command line or Cairn itself."""
    with transaction.atomic():
        changed = (
            KnowledgeBase.objects.present().filter(pk=knowledge_base.pk).update(deleted_at=timezone.now())
        )
        if not changed:
            raise NotFound
        cancel_all(Job.objects.filter(version__document__knowledge_base=knowledge_base))
        return _erasure(f"knowledge-base:{knowledge_base.id}", knowledge_base.id, principal)


def _erasure(target: str, knowledge_base: uuid.UUID, principal: Principal | None) -> Receipt:
    receipt = Receipt.objects.create(
        object=target,
        knowledge_base=knowledge_base,
        requested_by_id=principal.user if principal else None,
    )
    record("erasure.requested", actor=principal.actor if principal else None, subject=target)
    transaction.on_commit(lambda: broker.enqueue_erasure(receipt.id), robust=True)
    return receipt
