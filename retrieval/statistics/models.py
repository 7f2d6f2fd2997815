"""Rows that the overview aggregates. They have no text and are deleted with the message."""

from uuid import UUID

from django.db import models

from cairn.library.models import Document, KnowledgeBase
from retrieval.models import Message


class AskedQuestion(models.Model):
    """The figures of one message. `second` counts from 1970, UTC: days of any time zone are sums of it, which
    both databases work out fast.

    `verdict` is empty for what was stopped or failed.
    """

    message = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="figures")
    second = models.BigIntegerField()
    user = models.UUIDField()
    verdict = models.CharField(max_length=10, blank=True)
    rating = models.CharField(max_length=4, blank=True)
    model = models.CharField(max_length=200, blank=True)
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    first_token_ms = models.PositiveIntegerField(null=True)
    total_ms = models.PositiveIntegerField(null=True)

    message_id: UUID

    class Meta:
        # All that is added up stands in the index, so that the table need not be looked into.
        indexes = [
            models.Index(
                fields=[
                    "second", "user", "verdict", "rating", "first_token_ms", "total_ms", "model",
                    "prompt_tokens", "completion_tokens",
                ],
                name="asked_in_period",
            )
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"figures of {self.message_id}"


class AskedBase(models.Model):
    """A knowledge base that a question is about: its answer cites a document there or, without a citation,
    one of the documents nearest to it is there or, without any, it was asked."""

    question = models.ForeignKey(AskedQuestion, on_delete=models.CASCADE, related_name="bases")
    knowledge_base = models.ForeignKey(
        KnowledgeBase, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    second = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["knowledge_base", "second", "question"], name="asked_base_once")
        ]

    def __str__(self) -> str:
        return f"{self.question_id} in {self.knowledge_base_id}"


class DocumentUse(models.Model):
    """The last days on which an answer cited the document, and on which somebody opened it. Not who."""

    document = models.OneToOneField(Document, on_delete=models.CASCADE, primary_key=True, related_name="use")
    cited_on = models.DateField(null=True)
    opened_on = models.DateField(null=True)

    document_id: UUID

    def __str__(self) -> str:
        return f"use of {self.document_id}"
