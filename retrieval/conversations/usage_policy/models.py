"""Rules of the usage policy."""

import unicodedata
import uuid
from typing import Any

from django.db import models
from django.utils import timezone


def fold_name(name: str) -> str:
    """Return the same for names that differ in case alone, whatever the database's collation."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


class UsageRule(models.Model):
    """A rule that declines questions which contain one of `phrases` outside sentences with `exceptions`.

    `reply`: the answer, plain text. `declined_examples` are questions that the rule must decline, and
    `allowed_examples` those that it must not; only a rule that gets all of them right can be `enabled`.
    `version` counts the changes. `folded_name` makes names unique regardless of case.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120)
    folded_name = models.TextField(unique=True, editable=False)
    phrases = models.JSONField(default=list)
    exceptions = models.JSONField(default=list)
    reply = models.TextField()
    declined_examples = models.JSONField(default=list)
    allowed_examples = models.JSONField(default=list)
    enabled = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name", "id"]

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.folded_name = fold_name(self.name)
        super().save(*args, **kwargs)

    def __str__(self) -> str:
        return self.name
