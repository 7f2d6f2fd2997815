"""Rules about documents whose source decides who may read them; part of `cairn.access.permissions`."""

from functools import cache
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL

from cairn.access.models import AccessListEntry, SourceSubject, SubjectKind, SyncedAccess
from cairn.accounts.models import User


def subjects_of(user: UUID) -> "QuerySet[SourceSubject]":
    """Return the people of sources that are linked to the account, and all their groups."""
    people = SourceSubject.objects.filter(user=user, absent=False)
    memberships = SourceSubject.people.through.objects.filter(to_sourcesubject__in=people.values("pk"))
    return SourceSubject.objects.filter(
        Q(user=user, absent=False) | Q(pk__in=memberships.values("from_sourcesubject"))
    ).order_by()


def lists_allowing(user: UUID) -> "QuerySet[AccessListEntry, Any]":
    """Return the ids of the access lists that allow the user, as rows for a subquery.

    In each level, an entry has to allow the user without an earlier one that denies. A denial also applies to
    people unknown to the source, and to everyone if its subject is unknown.
    """
    subjects = subjects_of(user).values("pk")
    sources = SourceSubject.objects.filter(user=user, absent=False).order_by().values("source")
    mine = Q(subject=None) | Q(subject__in=subjects)
    unclear = Q(subject__kind=SubjectKind.UNKNOWN) | ~Q(access_list__source__in=sources)
    denials = AccessListEntry.objects.filter(
        mine | unclear,
        access_list=OuterRef("access_list"),
        level=OuterRef("level"),
        position__lt=OuterRef("position"),
        allow=False,
    )
    allowing = AccessListEntry.objects.filter(mine, ~Exists(denials), allow=True).order_by()
    levels = allowing.values("access_list").annotate(levels=Count("level", distinct=True))
    return levels.filter(levels=F("access_list__level_count")).values("access_list")


def documents_allowing(user: UUID) -> RawSQL:
    """Return the ids of documents whose source allows the user to read them, for a lookup with `in`."""
    sql, params = _fill_in_user(user, _documents_sql())
    return RawSQL(sql, params)  # noqa: S611 - Django wrote it


def list_token(access_list: int) -> str:
    """Return the access token of documents with this list; see `cairn.access.scope.Scope`."""
    return f"list:{access_list}"


def list_tokens(user: UUID) -> frozenset[str]:
    """Return the access tokens of the documents that sources let the user read."""
    with connection.cursor() as cursor:
        cursor.execute(*_fill_in_user(user, _lists_sql()))
        return frozenset(list_token(access_list) for (access_list,) in cursor.fetchall())


_ANYONE: Final = UUID(int=0)
"""Placeholder for the user in SQL that is compiled once: Django takes far longer to compile it than the
database to run it."""
_Compiled = tuple[str, tuple[Any, ...]]


@cache
def _documents_sql() -> _Compiled:
    documents = SyncedAccess.objects.filter(access_list__in=lists_allowing(_ANYONE)).order_by()
    return documents.values("document").query.sql_with_params()


@cache
def _lists_sql() -> _Compiled:
    return lists_allowing(_ANYONE).query.sql_with_params()


def _fill_in_user(user: UUID, compiled: _Compiled) -> _Compiled:
    """Return the SQL with the user's id in place of `_ANYONE`."""
    field = User._meta.pk
    anyone, found = (field.get_db_prep_value(each, connection) for each in (_ANYONE, user))
    sql, params = compiled
    return sql, tuple(found if param == anyone else param for param in params)
