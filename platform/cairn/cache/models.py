"""The table behind Django's cache."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone


class EntryQuerySet(models.QuerySet["Entry"]):
    def live(self) -> Self:
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))

    def expired(self) -> Self:
        return self.filter(expires_at__lte=timezone.now())


class Entry(models.Model):
    """`value` is JSON. An entry without `expires_at` never expires."""

    key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires_at = models.DateTimeField(null=True, db_index=True)

    objects = EntryQuerySet.as_manager()

    def __str__(self) -> str:
        return self.key
