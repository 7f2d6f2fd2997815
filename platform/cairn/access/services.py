"""Services that change who may read what. Changes apply with the commit: the next question sees them."""

import secrets
from collections.abc import Iterator, Sequence
from itertools import chain, count
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils.text import slugify
from django.utils.translation import gettext_noop

from cairn.access.grant_policy import Subject, require_may_grant
from cairn.access.models import DocumentReader, Grant, Role, SyncedAccess
from cairn.access.principals import require_can_create_knowledge_bases
from cairn.access.scope import EVERY_READER, Principal
from cairn.access.source_rules import list_token
from cairn.accounts.models import Group, User
from cairn.answers import Grounding
from cairn.audit.services import record
from cairn.errors import Conflict, Forbidden, InvalidInput, Taken
from cairn.library.models import (
    MAX_NESTING_DEPTH,
    Document,
    KnowledgeBase,
    OutsideModels,
    ReservedSlug,
    Sensitivity,
)
from cairn.messages import CodedMessage

EVERYONE = "everyone"
SOURCE = "source"
"""Pseudo subject for the readers of a document whose source decides."""
SOURCE_DECIDES = gettext_noop("The source decides who can read this document.")
STEM_LENGTH = 120
"""Maximum characters of a slug without the suffix that makes it unique."""


def parse_subject(text: str) -> Subject:
    """Parse "user:ID", "group:ID" or "everyone" into (user, group). Raises InvalidInput for anything else."""
    if text == EVERYONE:
        return None, None
    kind, _, value = text.partition(":")
    try:
        found = UUID(value)
    except ValueError as error:
        raise InvalidInput(f"“{text}” is not user:ID, group:ID or everyone.") from error
    if kind == "user" and User.objects.filter(pk=found).exists():
        return found, None
    if kind == "group" and Group.objects.filter(pk=found).exists():
        return None, found
    raise InvalidInput(CodedMessage("no_such_subject", text=text))


def subject_filter(user: UUID | None, group: UUID | None) -> Q:
    return Q(user=user) if user else Q(group=group, user=None)


def grant_give(*, knowledge_base: KnowledgeBase, subject: str, role: Role, principal: Principal) -> Grant:
    """Give access, or change the role of a subject that has access. Raises Forbidden if the principal may
    not."""
    user, group = parse_subject(subject)
    with transaction.atomic():
        base, existing = _grants_locked(knowledge_base)
        require_may_grant(principal, base, {(user, group): role}, existing)
        return _grant_save(base, subject, role, principal)


def _grants_locked(knowledge_base: KnowledgeBase) -> tuple[KnowledgeBase, dict[Subject, Role]]:
    """Lock the knowledge base and return its grants: nobody else changes them until the transaction ends."""
    base = KnowledgeBase.objects.select_for_update().get(pk=knowledge_base.pk)
    return base, {(grant.user_id, grant.group_id): Role(grant.role) for grant in base.grants.all()}


def _grant_save(base: KnowledgeBase, subject: str, role: Role, principal: Principal) -> Grant:
    user, group = parse_subject(subject)
    Grant.objects.filter(subject_filter(user, group), knowledge_base=base).delete()
    grant = Grant.objects.create(knowledge_base=base, user_id=user, group_id=group, role=role)
    record("grant.given", actor=principal.actor, subject=f"kb:{base.id}", to=subject, role=role)
    return grant


def grants_replace(
    *, knowledge_base: KnowledgeBase, grants: Sequence[tuple[str, Role]], principal: Principal
) -> None:
    """Replace the whole list; a subject named twice gets its highest role.

    Raises Forbidden if the principal may not give access to a subject that is new or gets a higher role.
    """
    requested: dict[Subject, Role] = {}
    for subject, role in grants:
        parsed = parse_subject(subject)
        requested[parsed] = max(role, requested.get(parsed, role), key=lambda r: r.rank)
    with transaction.atomic():
        base, existing = _grants_locked(knowledge_base)
        require_may_grant(principal, base, requested, existing)
        Grant.objects.filter(knowledge_base=base).delete()
        Grant.objects.bulk_create(
            Grant(knowledge_base=base, user_id=user, group_id=group, role=role)
            for (user, group), role in requested.items()
        )
        detail = [{"to": subject, "role": role} for subject, role in grants]
        record("grants.replaced", actor=principal.actor, subject=f"kb:{base.id}", grants=detail)


def readers_replace(*, document: Document, readers: Sequence[str], actor: UUID | None) -> None:
    """Restrict a document to some readers; "everyone" among them removes the restriction.

    Readers still need access to the knowledge base and to the mail or archive that contains the document. An
    empty list leaves only managers. Embedded files follow their container. Raises Conflict for a document
    whose source decides.
    """
    subjects = [parse_subject(text) for text in dict.fromkeys(readers)]
    narrowed = (None, None) not in subjects
    with transaction.atomic():
        Document.objects.select_for_update().get(pk=document.pk)
        if SyncedAccess.objects.filter(document=document).exists():
            raise Conflict(SOURCE_DECIDES)
        document.readers.all().delete()
        if narrowed:
            DocumentReader.objects.bulk_create(
                DocumentReader(document=document, user_id=user, group_id=group) for user, group in subjects
            )
        document.narrowed = narrowed
        document.index_stale = True
        document.save(update_fields=["narrowed", "index_stale", "updated_at"])
        for inside in Document.objects.levels_in(document):
            inside.update(index_stale=True, updated_at=document.updated_at)
        record("readers.replaced", actor=actor, subject=f"document:{document.id}", readers=list(readers))


READERS = tuple(
    "parent__" * depth + name
    for depth in range(MAX_NESTING_DEPTH + 1)
    for name in ("readers", "synced_access")
)
"""Lookups that `readers_of` follows, to be prefetched when it is called for many documents."""


def readers_of(document: Document) -> list[str]:
    """Return the document's readers, or those of its nearest restricted container.

    If its source decides, that is the only one.
    """
    restricted = _nearest_restricted(document)
    if restricted is None:
        return [EVERYONE]
    return [SOURCE] if find_synced_access(restricted) else _named_readers(restricted)


def _named_readers(document: Document) -> list[str]:
    return [reader.subject for reader in document.readers.all()]


def find_synced_access(document: Document) -> SyncedAccess | None:
    """Return the document's access if its source decides it. The relation may be prefetched."""
    try:
        return document.synced_access
    except SyncedAccess.DoesNotExist:
        return None


def _nearest_restricted(document: Document) -> Document | None:
    """Return the document if it is restricted, else its nearest restricted container."""
    if document.narrowed:
        return document
    return _nearest_restricted(document.parent) if document.parent else None


def reader_tokens(document: Document) -> tuple[str, ...]:
    """Return the access tokens that the index stores; see `Scope`.

    If several containers are restricted, the index only knows the nearest one. The rules check all of them.
    """
    restricted = _nearest_restricted(document)
    if restricted is None:
        return (EVERY_READER,)
    synced = SyncedAccess.objects.filter(document=restricted).first()
    if synced is None:
        return tuple(_named_readers(restricted))
    return (list_token(synced.access_list_id),) if synced.access_list_id else ()


def slug_reserve(name: str, principal: Principal, *, slug: str | None = None, fallback: str) -> str:
    """Reserve a slug for a new knowledge base or assistant of this name, or exactly `slug`.

    Both share one set of slugs, which are never used again. Only admins see all knowledge bases, so only they
    get a slug that depends on which ones are taken. Everybody else gets a random suffix, whether or not
    another knowledge base has the name. `fallback`: the slug of a name without letters.
    """
    if slug is not None:
        return _reserve_exactly(slug, principal)
    stem = slugify(name)[:STEM_LENGTH] or fallback
    candidates = _numbered_slugs(stem) if principal.acts_as_admin else _random_slugs(stem)
    return next(slug for slug in candidates if _reserve(slug))


def _numbered_slugs(stem: str) -> Iterator[str]:
    """Yield the plain slug, then numbered ones. The caller's attempt to reserve one settles a race."""
    taken = set(ReservedSlug.objects.filter(slug__startswith=stem).values_list("slug", flat=True))
    numbered = (f"{stem}-{number}" for number in count(2))
    yield from (slug for slug in chain([stem], numbered) if slug not in taken)


def _random_slugs(stem: str) -> Iterator[str]:
    while True:
        yield f"{stem}-{secrets.token_hex(4)}"


def _reserve(slug: str) -> bool:
    """Return whether the slug was free. If two transactions reserve it at the same time, one waits and gets
    False."""
    _, created = ReservedSlug.objects.get_or_create(slug=slug)
    return created


def _reserve_exactly(slug: str, principal: Principal) -> str:
    """Reserve a given slug. Only admins may: whether it is taken reveals that a knowledge base exists or
    existed."""
    if not principal.acts_as_admin:
        raise Forbidden(gettext_noop("Only administrators can choose a slug."))
    if not slug or slugify(slug) != slug or len(slug) > STEM_LENGTH:
        raise InvalidInput(CodedMessage("slug_invalid", slug=slug))
    if not _reserve(slug):
        raise Taken(CodedMessage("slug_taken", slug=slug))
    return slug


def knowledge_base_create(
    *,
    name: str,
    principal: Principal,
    description: str = "",
    sensitivity: str = Sensitivity.INTERNAL,
    grounding: str = Grounding.STRICT,
    slug: str | None = None,
) -> KnowledgeBase:
    """Create a knowledge base that the principal owns and manages. Nobody else but admins sees it yet.

    Raises Forbidden if the principal may not create any. Admins may ask for a `slug`; Taken if it was ever
    used before.
    """
    require_can_create_knowledge_bases(principal)
    with transaction.atomic():
        base = KnowledgeBase.objects.create(
            name=name,
            slug=slug_reserve(name, principal, slug=slug, fallback="knowledge-base"),
            description=description,
            sensitivity=sensitivity,
            grounding=grounding,
            owner_id=principal.user,
            official=principal.acts_as_admin,
        )
        _grant_save(base, f"user:{principal.user}", Role.MANAGER, principal)
        record("knowledge_base.created", actor=principal.actor, subject=f"kb:{base.id}")
    return base


def knowledge_base_update(
    *,
    knowledge_base: KnowledgeBase,
    principal: Principal,
    name: str | None = None,
    description: str | None = None,
    sensitivity: str | None = None,
    grounding: str | None = None,
    outside_models: str | None = None,
) -> KnowledgeBase:
    """Change the fields that are not None. The slug never changes: others may have stored it. Raises
    Forbidden if others than admins allow outside models: managers may only forbid them."""
    sent = {
        "name": name,
        "description": description,
        "sensitivity": sensitivity,
        "grounding": grounding,
        "outside_models": outside_models,
    }
    changes = {field: value for field, value in sent.items() if value is not None}
    with transaction.atomic():
        _require_may_rename(knowledge_base, name, principal)
        _require_may_allow(knowledge_base, outside_models, principal)
        for field, value in changes.items():
            setattr(knowledge_base, field, value)
        knowledge_base.save(update_fields=[*changes, "updated_at"])
        record(
            "knowledge_base.changed",
            actor=principal.actor,
            subject=f"kb:{knowledge_base.id}",
            fields=sorted(changes),
            **({"outside_models": outside_models} if outside_models else {}),
        )
    return knowledge_base


def _require_may_allow(knowledge_base: KnowledgeBase, rule: str | None, principal: Principal) -> None:
    """Raise Forbidden if others than admins do anything but forbid outside models."""
    lifts = rule not in {None, OutsideModels.FORBID, knowledge_base.outside_models}
    if lifts and not principal.acts_as_admin:
        raise Forbidden(gettext_noop("Only administrators can allow models outside the organisation."))


def _require_may_rename(knowledge_base: KnowledgeBase, name: str | None, principal: Principal) -> None:
    """Raise Forbidden if others than admins rename an official knowledge base: it was approved under its
    name."""
    row = KnowledgeBase.objects.select_for_update().get(pk=knowledge_base.pk)
    if row.official and name not in {None, row.name} and not principal.acts_as_admin:
        raise Forbidden(gettext_noop("Only administrators can rename an official knowledge base."))


def knowledge_base_approve(
    *, knowledge_base: KnowledgeBase, official: bool, principal: Principal
) -> KnowledgeBase:
    """Mark the knowledge base as official or unofficial. Raises Forbidden unless the principal is an
    admin."""
    _require_admin(principal)
    with transaction.atomic():
        knowledge_base.official = official
        knowledge_base.save(update_fields=["official", "updated_at"])
        subject = f"kb:{knowledge_base.id}"
        record("knowledge_base.official", actor=principal.actor, subject=subject, official=official)
    return knowledge_base


def knowledge_base_owner_set(
    *, knowledge_base: KnowledgeBase, owner: UUID | None, principal: Principal
) -> KnowledgeBase:
    """Set the person responsible for the content. Raises Forbidden unless the principal is an admin."""
    _require_admin(principal)
    user = None if owner is None else User.objects.active().filter(pk=owner).first()
    if owner is not None and user is None:
        raise InvalidInput(gettext_noop("The owner isn’t an active user."))
    with transaction.atomic():
        knowledge_base.owner = user
        knowledge_base.save(update_fields=["owner", "updated_at"])
        subject, named = f"kb:{knowledge_base.id}", str(owner) if owner else None
        record("knowledge_base.owner", actor=principal.actor, subject=subject, owner=named)
    return knowledge_base


def _require_admin(principal: Principal) -> None:
    if not principal.acts_as_admin:
        raise Forbidden(gettext_noop("Only administrators can do this."))


def retention_set(*, knowledge_base: KnowledgeBase, days: int | None, actor: UUID | None) -> KnowledgeBase:
    """Set after how many days documents are deleted; None keeps them forever."""
    with transaction.atomic():
        knowledge_base.retention_days = days
        knowledge_base.save(update_fields=["retention_days", "updated_at"])
        record("knowledge_base.retention", actor=actor, subject=f"kb:{knowledge_base.id}", days=days)
    return knowledge_base
