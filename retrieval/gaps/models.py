"""Knowledge gaps, their questions, verified answers, and notices."""

import uuid
from datetime import date

from django.db import models
from django.utils import timezone

from cairn.accounts.models import User
from cairn.library.models import Document, KnowledgeBase
from retrieval.models import ABTest, Message


class GapState(models.TextChoices):
    OPEN = "open"
    ASSIGNED = "assigned"
    ANSWERED = "answered"
    DISMISSED = "dismissed"


UNANSWERED = (GapState.OPEN, GapState.ASSIGNED)


class Gap(models.Model):
    """Questions of one meaning, asked over the same knowledge bases; none of these: for admins.

    `base_key` stands for these knowledge bases. `document` answers it, unless a verified answer does.
    `suggested`: documents that answered when a question of it was asked again at `suggested_at`. `tried_at`:
    when one was last asked again. `told_at`: when the askers were notified of the answer.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    knowledge_bases = models.ManyToManyField(KnowledgeBase, related_name="gaps")
    base_key = models.CharField(max_length=64, blank=True, db_index=True)
    state = models.CharField(max_length=9, choices=GapState.choices, default=GapState.OPEN)
    owner = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="owned_gaps")
    due = models.DateField(null=True)
    note = models.TextField(blank=True, default="")
    dismissed_reason = models.TextField(blank=True, default="")
    closes_itself = models.BooleanField(default=False)
    document = models.ForeignKey(Document, null=True, on_delete=models.SET_NULL, related_name="+")
    answered_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)
    suggested_at = models.DateTimeField(null=True)
    suggested = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["state", "base_key"], name="gap_to_group_with")]

    def __str__(self) -> str:
        return f"gap {self.id}"


class Why(models.TextChoices):
    REFUSED = "refused"
    DOWN = "down"


class GapQuestion(models.Model):
    """A message whose answer did not help. Its text is the message's, and goes with it.

    No `gap`: it waits to be grouped. `bases`: ids of the knowledge bases that it belongs to. Taken back by
    the asker it stays as a row, so that it does not come again. `with_name`: the asker may be named.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    message = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="gap_question")
    gap = models.ForeignKey(Gap, null=True, on_delete=models.SET_NULL, related_name="questions")
    why = models.CharField(max_length=7, choices=Why.choices)
    bases = models.JSONField(default=list)
    taken_back = models.BooleanField(default=False)
    with_name = models.BooleanField(default=False)
    embedding = models.BinaryField(null=True)
    embedding_model = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"question {self.id}"

    @property
    def text(self) -> str:
        return self.message.standalone_question or self.message.question

    @property
    def reason(self) -> str:
        """Reason of the refusal, or of the rating."""
        return self.message.reason if self.why == Why.REFUSED else self.message.rating_reason


class VerifiedAnswer(models.Model):
    """An answer that a person vouches for until a date, published as a document.

    `sha256`: of the published content; a document with any other is not vouched for. `wordings`: alternate
    questions that find it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    gap = models.OneToOneField(Gap, on_delete=models.CASCADE, related_name="verified")
    knowledge_base = models.ForeignKey(KnowledgeBase, on_delete=models.CASCADE, related_name="+")
    document = models.OneToOneField(
        Document, null=True, on_delete=models.CASCADE, related_name="verification"
    )
    title = models.CharField(max_length=500)
    text = models.TextField()
    wordings = models.JSONField(default=list)
    owner = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="verified_answers")
    until = models.DateField()
    sha256 = models.CharField(max_length=64, blank=True, default="")
    warned_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.title

    def vouches_for(self, sha256: str, *, today: date | None = None) -> bool:
        """Return whether a person currently vouches for this content."""
        current = self.until >= (today or timezone.localdate())
        return current and self.withdrawn_at is None and self.sha256 == sha256


class NoticeKind(models.TextChoices):
    """answered: for who asked; ab_test: for admins, when an A/B test has ended; the others for owners."""

    ANSWERED = "answered"
    ASSIGNED = "assigned"
    SUGGESTED = "suggested"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    AB_TEST = "ab_test"


class NoticeQuerySet(models.QuerySet["Notice"]):
    def unread(self) -> "NoticeQuerySet":
        return self.filter(read_at=None)


class Notice(models.Model):
    """`message`: their question that it is about. `gap` is null for a notice about an A/B test. The text is
    created when it is shown."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=9, choices=NoticeKind.choices)
    gap = models.ForeignKey(Gap, null=True, on_delete=models.CASCADE, related_name="notices")
    ab_test = models.ForeignKey(ABTest, null=True, on_delete=models.CASCADE, related_name="+")
    message = models.ForeignKey(Message, null=True, on_delete=models.CASCADE, related_name="+")
    read_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["user", "read_at"], name="notices_of_user")]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
