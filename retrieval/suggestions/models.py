"""Suggested questions of a document."""

import random

from django.db import models

from cairn.library.models import Document, KnowledgeBase


def anywhere() -> float:
    return random.random()  # noqa: S311 - nothing to guess


class Suggestion(models.Model):
    """A suggested question, deleted and readable with its document. `plain`: not in the document's own words.
    `shuffle` is between 0 and 1: a few of many are picked from a random position on."""

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="suggestions")
    knowledge_base = models.ForeignKey(KnowledgeBase, on_delete=models.CASCADE, related_name="+")
    question = models.CharField(max_length=300)
    plain = models.BooleanField(default=False)
    shuffle = models.FloatField(default=anywhere)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["knowledge_base", "shuffle"], name="suggestion_pick")]
        constraints = [
            models.UniqueConstraint(fields=["document", "question"], name="suggestion_once_per_document")
        ]

    def __str__(self) -> str:
        return self.question


class ExampleQuestion(models.Model):
    """A question that a manager of the knowledge base chose to suggest to its readers."""

    knowledge_base = models.ForeignKey(
        KnowledgeBase, on_delete=models.CASCADE, related_name="example_questions"
    )
    question = models.CharField(max_length=200)
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.question
