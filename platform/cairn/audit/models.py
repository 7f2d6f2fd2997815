"""What happened, append-only. Ids and facts, never the text of questions or documents."""

from django.db import models
from django.utils import timezone


class Event(models.Model):
    """`actor` and `subject` are plain ids: an event outlives what it speaks of."""

    at = models.DateTimeField(default=timezone.now, db_index=True, editable=False)
    actor = models.UUIDField(null=True)
    action = models.CharField(max_length=60, db_index=True)
    subject = models.CharField(max_length=80, blank=True, db_index=True)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"
