"""Services that store who may read the documents of a source, as the source describes it.

Changes apply with the commit: the next question sees them.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from cairn.access.models import (
    AccessList,
    AccessListEntry,
    DocumentReader,
    SourceSubject,
    SubjectKind,
    SubjectLink,
    SyncedAccess,
)
from cairn.access.scope import Principal
from cairn.access.source_access import EVERYONE, AccessEntry, AccessLevel, SourceAccess, simplify_levels
from cairn.access.source_people import PeopleCounts, in_batches, replace_source_people
from cairn.accounts.models import User
from cairn.audit.services import record
from cairn.errors import InvalidInput, Taken
from cairn.library.models import MAX_NESTING_DEPTH, Document
from cairn.messages import CodedMessage

__all__ = [
    "PeopleCounts",
    "forget_source",
    "link_source_person",
    "replace_source_people",
    "set_source_access",
]


def set_source_access(source: UUID, accesses: Mapping[UUID, SourceAccess]) -> int:
    """Store who may read documents, by document id, and return for how many of them something changed.

    From then on, the source decides, and readers chosen by hand no longer count. Ids of deleted documents are
    ignored. An outdated access never opens a document to people who can't read it already.
    """
    return sum(_set_accesses(source, dict(some)) for some in in_batches(list(accesses.items())))


def _set_accesses(source: UUID, accesses: Mapping[UUID, SourceAccess]) -> int:
    with transaction.atomic():
        existing = set(Document.objects.filter(pk__in=accesses).values_list("pk", flat=True))
        known = {row.document_id: row for row in SyncedAccess.objects.filter(document__in=existing)}
        accesses = _without_new_readers(accesses, known)
        levels = {
            document: _encode(simplify_levels(access.levels))
            for document, access in accesses.items()
            if document in existing and not access.unknown
        }
        before = {row.access_list_id for row in known.values() if row.access_list_id}
        lists = _lists_locked(source, set(levels.values()), before)
        rows = [
            SyncedAccess(
                document_id=document,
                source=source,
                access_list_id=lists[levels[document]] if document in levels else None,
                unknown=accesses[document].unknown,
            )
            for document in existing
        ]
        changed = [row for row in rows if _differs(row, known.get(row.document_id))]
        moved = [row for row in changed if _has_other_list(row, known.get(row.document_id))]
        _save(changed, moved)
        _delete_unused(AccessList.objects.filter(pk__in=before))
    return len(changed)


def _without_new_readers(
    accesses: Mapping[UUID, SourceAccess], known: Mapping[UUID, SyncedAccess]
) -> dict[UUID, SourceAccess]:
    """Return the accesses; outdated ones with the levels that apply so far as well."""
    rows = [known[document] for document, access in accesses.items() if access.outdated and document in known]
    levels = load_levels({row.access_list_id for row in rows if row.access_list_id})
    before = {row.document_id: levels[row.access_list_id] for row in rows if row.access_list_id in levels}
    pending = CodedMessage("source_access_pending")
    found = dict(accesses)
    for document, access in accesses.items():
        if not access.outdated or access.unknown:
            continue
        if document not in before:
            row = known.get(document)
            found[document] = SourceAccess(unknown=row.unknown if row and row.unknown else pending)
        else:
            found[document] = SourceAccess(_intersect(before[document], access.levels))
    return found


def _intersect(one: tuple[AccessLevel, ...], other: tuple[AccessLevel, ...]) -> tuple[AccessLevel, ...]:
    """Return levels that allow the people allowed by both. Without levels, nobody is allowed."""
    return (*one, *other) if one and other else ()


def load_levels(lists: Collection[int]) -> dict[int, tuple[AccessLevel, ...]]:
    """Return the levels of access lists by their ids."""
    counts = dict(AccessList.objects.filter(pk__in=lists).values_list("pk", "level_count"))
    found = {pk: [list[AccessEntry]() for _ in range(count)] for pk, count in counts.items()}
    for entry in AccessListEntry.objects.filter(access_list__in=lists).select_related("subject"):
        subject = entry.subject.external_id if entry.subject else EVERYONE
        found[entry.access_list_id][entry.level].append(AccessEntry(subject, entry.allow))
    return {pk: tuple(map(tuple, levels)) for pk, levels in found.items()}


def _encode(levels: Iterable[AccessLevel]) -> str:
    """Return the levels as text that is equal for equal levels."""
    return json.dumps([[[entry.subject, entry.allow] for entry in level] for level in levels])


def _differs(row: SyncedAccess, before: SyncedAccess | None) -> bool:
    return _has_other_list(row, before) or before is None or row.unknown != before.unknown


def _has_other_list(row: SyncedAccess, before: SyncedAccess | None) -> bool:
    return before is None or (row.source, row.access_list_id) != (before.source, before.access_list_id)


def _save(changed: Collection[SyncedAccess], moved: Collection[SyncedAccess]) -> None:
    SyncedAccess.objects.bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=["document"],
        update_fields=["source", "access_list", "unknown"],
    )
    documents = [row.document_id for row in moved]
    DocumentReader.objects.filter(document__in=documents).delete()
    _mark_stale(documents)


def _mark_stale(documents: Collection[UUID]) -> None:
    """Restrict the documents, and mark their points in the index and those of their embedded files as
    stale."""
    now = timezone.now()
    Document.objects.filter(pk__in=documents).update(narrowed=True, index_stale=True, updated_at=now)
    for depth in range(1, MAX_NESTING_DEPTH + 1):
        inside = Document.objects.filter(**{"__".join(["parent"] * depth) + "__in": documents})
        if not inside.update(index_stale=True, updated_at=now):
            break


def _lists_locked(source: UUID, requested: Collection[str], before: Collection[int]) -> dict[str, int]:
    """Return the ids of the lists with these levels, after creating those that are missing.

    They, and those in `before`, stay locked until the transaction ends, so that no list is deleted while a
    document is being added to it.
    """
    digests = {text: hashlib.sha256(text.encode()).hexdigest() for text in requested}
    while True:
        rows = AccessList.objects.filter(Q(source=source, digest__in=digests.values()) | Q(pk__in=before))
        found = {
            row.digest: row.pk for row in rows.order_by("pk").select_for_update() if row.source == source
        }
        missing = {text: digest for text, digest in digests.items() if digest not in found}
        if not missing:
            return {text: found[digest] for text, digest in digests.items()}
        _create_lists(source, missing)


def _create_lists(source: UUID, requested: Mapping[str, str]) -> None:
    """Create the lists, by their levels as text, or none if another process just created one of them."""
    levels: dict[str, list[list[tuple[str, bool]]]] = {text: json.loads(text) for text in requested}
    subjects = _subjects_named(
        source, {name for found in levels.values() for level in found for name, _ in level}
    )
    with suppress(Taken), transaction.atomic():
        rows = _save_lists(
            AccessList(source=source, digest=digest, level_count=len(levels[text]))
            for text, digest in requested.items()
        )
        AccessListEntry.objects.bulk_create(
            entry
            for row, found in zip(rows, levels.values(), strict=True)
            for entry in _entries(row, found, subjects)
        )


def _save_lists(rows: Iterable[AccessList]) -> list[AccessList]:
    try:
        return AccessList.objects.bulk_create(rows)
    except IntegrityError as error:
        raise Taken from error


def _entries(
    access_list: AccessList, levels: list[list[tuple[str, bool]]], subjects: Mapping[str, int]
) -> Iterator[AccessListEntry]:
    for number, level in enumerate(levels):
        for position, (name, allow) in enumerate(level):
            yield AccessListEntry(
                access_list=access_list,
                level=number,
                position=position,
                subject_id=None if name == EVERYONE else subjects[name],
                allow=allow,
            )


def _subjects_named(source: UUID, names: Collection[str]) -> dict[str, int]:
    """Return the subjects with these ids, after creating those that the source has not listed yet."""
    named = {name for name in names if name != EVERYONE}
    missing = sorted(named - _ids(source, named).keys())
    SourceSubject.objects.bulk_create(
        (SourceSubject(source=source, external_id=name) for name in missing), ignore_conflicts=True
    )
    return _ids(source, named)


def _ids(source: UUID, names: Collection[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in in_batches(sorted(names)):
        rows = SourceSubject.objects.filter(source=source, external_id__in=some)
        found.update(rows.values_list("external_id", "pk"))
    return found


def _delete_unused(lists: "QuerySet[AccessList]") -> None:
    unused = list(lists.filter(documents=None).values_list("pk", flat=True))
    AccessList.objects.filter(pk__in=unused).delete()


def link_source_person(subject: SourceSubject, user: User | None, principal: Principal) -> None:
    """Link a person of a source to an account by hand; None means that the person has no account.

    Syncing the people of the source doesn't change it.
    """
    with transaction.atomic():
        person = SourceSubject.objects.select_for_update().get(pk=subject.pk)
        if person.kind != SubjectKind.PERSON:
            raise InvalidInput(gettext_noop("Only people can be linked to accounts."))
        person.user, person.link = user, SubjectLink.MANUAL if user else SubjectLink.NOBODY
        person.save(update_fields=["user", "link"])
        record(
            "source.person_linked",
            actor=principal.actor,
            subject=f"source:{person.source}",
            person=person.external_id,
            to=str(user.pk) if user else None,
        )


def forget_source(source: UUID) -> None:
    """Remove the people and permissions of a source that is being deleted.

    Its documents stay restricted: only managers may read them until a manager chooses readers.
    """
    with transaction.atomic():
        documents = list(SyncedAccess.objects.filter(source=source).values_list("document", flat=True))
        SyncedAccess.objects.filter(source=source).delete()
        for some in in_batches(documents):
            _mark_stale(some)
        AccessList.objects.filter(source=source).delete()
        SourceSubject.objects.filter(source=source).delete()
