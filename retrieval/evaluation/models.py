"""Evaluation runs, kept to be looked at and compared."""

import uuid

from django.db import models
from django.utils import timezone

from cairn.accounts.models import User
from cairn.library.models import KnowledgeBase


class EvaluationRun(models.Model):
    """What was measured, with which settings. `outcomes`: a list of `retrieval.evaluation.runs.Asked`.

    `questions` and `right` count outcomes, so that lists need not load them.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    knowledge_base = models.ForeignKey(KnowledgeBase, on_delete=models.CASCADE, related_name="evaluations")
    name = models.CharField(max_length=120)
    gold_name = models.CharField(max_length=200)
    gold_sha256 = models.CharField(max_length=64)
    settings = models.JSONField(default=dict)
    questions = models.PositiveIntegerField()
    right = models.PositiveIntegerField()
    measures = models.JSONField(default=dict)
    by_kind = models.JSONField(default=dict)
    rankings = models.JSONField(default=dict)
    outcomes = models.JSONField(default=list)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.name
