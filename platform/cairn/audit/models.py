"""Append-only audit events. Ids and facts, never the text of questions or documents."""

from datetime import datetime
from typing import Any, Final, NoReturn
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils import timezone

CHECK_MARK: Final = "access_check"
"""Detail of events that an access check caused: the check's id."""


class AppendOnly(TypeError):
    """Raised for an attempt to change or delete an event."""


class EventQuerySet(models.QuerySet["Event"]):
    def sealed(self) -> "EventQuerySet":
        return self.exclude(number=None)

    def unsealed(self) -> "EventQuerySet":
        return self.filter(number=None)

    def about(self, subject: str) -> "EventQuerySet":
        """Filter by a subject such as `document:ID`, or by the id alone, whatever its kind."""
        return (
            self.filter(subject=subject) if ":" in subject else self.filter(subject__endswith=f":{subject}")
        )

    def not_of_checks(self) -> "EventQuerySet":
        """Exclude what access checks caused: hundreds of events each, about objects that are gone again."""
        return self.exclude(detail__has_key=CHECK_MARK)

    def kind(self, action: str) -> "EventQuerySet":
        """Filter by an action such as `grant.given`, or by its first words: `grant` for all about grants."""
        return self.filter(Q(action=action) | Q(action__startswith=f"{action}."))

    def matching(
        self,
        *,
        actor: UUID | None = None,
        action: str = "",
        subject: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> "EventQuerySet":
        """Filter by all given values; `until` is exclusive."""
        found = self
        found = found.filter(actor=actor) if actor else found
        found = found.kind(action) if action else found
        found = found.about(subject) if subject else found
        found = found.filter(at__gte=since) if since else found
        return found.filter(at__lt=until) if until else found

    def update(self, **kwargs: Any) -> NoReturn:  # noqa: ARG002
        raise AppendOnly

    def delete(self) -> NoReturn:
        raise AppendOnly

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:  # noqa: ARG002
        raise AppendOnly


class Event(models.Model):
    """`actor` and `subject` are plain ids: an event outlives the objects that it is about.

    `number` and `hash` are its place in the hash chain, assigned by `cairn.audit.hash_chain.seal_all`.
    Database triggers prevent changes to sealed rows, and any deletion.
    """

    number = models.PositiveBigIntegerField(null=True, unique=True, editable=False)
    at = models.DateTimeField(default=timezone.now, db_index=True, editable=False)
    actor = models.UUIDField(null=True, db_index=True)
    action = models.CharField(max_length=60, db_index=True)
    subject = models.CharField(max_length=80, blank=True, db_index=True)
    detail = models.JSONField(default=dict)
    hash = models.CharField(max_length=64, blank=True, default="", editable=False)

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnly
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:  # noqa: ARG002
        raise AppendOnly


class Head(models.Model):
    """The end of the chain, a single row. Sealing locks it, so that only one process seals."""

    count = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=64, default="", blank=True)

    def __str__(self) -> str:
        return f"{self.count}:{self.hash}"
