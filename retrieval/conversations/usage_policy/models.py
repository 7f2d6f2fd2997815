"""Rules of the usage policy."""

import uuid

from django.db import models
from django.utils import timezone


class UsageRule(models.Model):
    """A rule that declines questions which contain one of `phrases` and none of `exceptions`.

    `reply`: the answer, plain text. `declined_examples` are questions that the rule must decline, and
    `allowed_examples` those that it must not; only a rule that gets all of them right can be `enabled`.
    `version` counts the changes.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120)
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

    def __str__(self) -> str:
        return self.name
