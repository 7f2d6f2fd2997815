"""Objects created by access checks, and their removal by recorded id only."""

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from cairn.access.models import AccessCheck, ArtifactKind, CheckArtifact
from cairn.access.scope import Principal
from cairn.access.services import knowledge_base_create
from cairn.access.source_services import forget_source
from cairn.accounts.models import Group, User
from cairn.accounts.services import group_create, group_delete, user_create
from cairn.audit.services import mark_events_of_check, record
from cairn.errors import CairnError
from cairn.library.models import KnowledgeBase
from ingestion.documents.services import knowledge_base_delete
from ingestion.erasure.users import user_erase

log = logging.getLogger(__name__)

ABANDONED_AFTER: Final = timedelta(minutes=15)
"""A check takes a few minutes at most. Older objects were left by an interrupted one."""
_ORDER: Final = (ArtifactKind.KNOWLEDGE_BASE, ArtifactKind.SOURCE, ArtifactKind.GROUP, ArtifactKind.USER)
_NAMED_BY_A_CHECK: Final = re.compile(r"access-check-[0-9a-f]{8}( |-)", re.IGNORECASE)


def create_user(check: AccessCheck, username: str) -> User:
    with transaction.atomic():
        user = user_create(username=username)
        _track(check, ArtifactKind.USER, user.id)
    return user


def create_group(check: AccessCheck, name: str, *members: User) -> Group:
    with transaction.atomic():
        group = group_create(name=name, members=[user.id for user in members])
        _track(check, ArtifactKind.GROUP, group.id)
    return group


def create_knowledge_base(check: AccessCheck, name: str, principal: Principal) -> KnowledgeBase:
    with transaction.atomic():
        base = knowledge_base_create(name=name, principal=principal)
        _track(check, ArtifactKind.KNOWLEDGE_BASE, base.id)
    return base


def create_source(check: AccessCheck) -> UUID:
    """Return the id of a source that only exists in the tables of access."""
    source = uuid4()
    _track(check, ArtifactKind.SOURCE, source)
    return source


def _track(check: AccessCheck, kind: ArtifactKind, object_id: UUID) -> None:
    CheckArtifact.objects.create(check_run=check, kind=kind, object_id=object_id)


def remove_knowledge_bases(check: AccessCheck) -> None:
    _remove(check.artifacts.filter(kind=ArtifactKind.KNOWLEDGE_BASE))


def remove_all_artifacts() -> None:
    """Remove all objects of checks, at their start and end. Only one check runs at a time."""
    _remove(CheckArtifact.objects.all())


def remove_abandoned_artifacts() -> None:
    """Remove objects of killed checks without waiting for the next one."""
    _remove(CheckArtifact.objects.filter(created_at__lt=timezone.now() - ABANDONED_AFTER))


def _remove(artifacts: "QuerySet[CheckArtifact]") -> None:
    found = sorted(artifacts, key=lambda artifact: _ORDER.index(ArtifactKind(artifact.kind)))
    for artifact in found:
        try:
            with transaction.atomic(), _mark_events(artifact):
                _remove_object(artifact)
                artifact.delete()
        except CairnError as error:  # it stays on the list, and the others must still go
            log.warning("cannot remove %s of an access check: %s", artifact, error.message)


def _mark_events(artifact: CheckArtifact) -> AbstractContextManager[None]:
    return mark_events_of_check(artifact.check_run_id) if artifact.check_run_id else nullcontext()


def _remove_object(artifact: CheckArtifact) -> None:
    """Remove an object without an actor, as Cairn itself does it. The event names the check."""
    identity = artifact.object_id
    match ArtifactKind(artifact.kind):
        case ArtifactKind.KNOWLEDGE_BASE:
            for base in KnowledgeBase.objects.present().filter(pk=identity):
                knowledge_base_delete(knowledge_base=base, principal=None)
        case ArtifactKind.SOURCE:
            forget_source(identity)
        case ArtifactKind.GROUP:
            for group in Group.objects.filter(pk=identity):
                group_delete(group, actor=None)
        case ArtifactKind.USER:
            for user in User.objects.filter(pk=identity):
                user_erase(user=user, actor=None)
    check = f"access-check:{artifact.check_run_id}" if artifact.check_run_id else ""
    record("access_check.removed", actor=None, subject=check, kind=artifact.kind, id=str(identity))


@dataclass(frozen=True, slots=True)
class Leftover:
    kind: ArtifactKind
    name: str


def find_possible_leftovers() -> list[Leftover]:
    """Return objects that may be left from checks of an earlier release.

    Those did not record their objects, and a name proves nothing, so admins have to decide.
    """
    names = {
        ArtifactKind.KNOWLEDGE_BASE: KnowledgeBase.objects.present().values_list("id", "name"),
        ArtifactKind.GROUP: Group.objects.values_list("id", "name"),
        ArtifactKind.USER: User.objects.values_list("id", "username"),
    }
    return [leftover for kind, rows in names.items() for leftover in _find_untracked(kind, rows.iterator())]


def _find_untracked(kind: ArtifactKind, rows: Iterable[tuple[UUID, str]]) -> Iterator[Leftover]:
    tracked = set(CheckArtifact.objects.filter(kind=kind).values_list("object_id", flat=True))
    for identity, name in rows:
        if identity not in tracked and _NAMED_BY_A_CHECK.match(name):
            yield Leftover(kind, name)
