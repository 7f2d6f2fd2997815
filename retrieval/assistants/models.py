"""Assistants, and who may use them."""

import uuid

from django.db import models
from django.utils import timezone

from cairn.accounts.models import IS_USER_OR_GROUP, User, UserOrGroup
from cairn.library.models import KnowledgeBase


class Assistant(models.Model):
    """A selection of knowledge bases with instructions for the language model.

    It gives access to nothing: a question is answered from those of `knowledge_bases` that its asker may
    read. `slug` is reserved together with those of knowledge bases, since both name models of the
    OpenAI-compatible API. `model`: the chat model to use, empty for the configured one. `version` counts the
    changes. Used by its `readers`, or by `everyone` who can sign in.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=140, unique=True)
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True, default="")
    instructions = models.TextField(blank=True, default="")
    model = models.CharField(max_length=200, blank=True, default="")
    starter_questions = models.JSONField(default=list)
    everyone = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1)
    knowledge_bases = models.ManyToManyField(KnowledgeBase, related_name="+")
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name", "id"]
        indexes = [models.Index(fields=["name", "id"], name="assistant_by_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def subjects(self) -> list[str]:
        return ["everyone"] if self.everyone else [reader.subject for reader in self.readers.all()]


class AssistantReader(UserOrGroup):
    """A user or group that may use the assistant."""

    assistant = models.ForeignKey(Assistant, on_delete=models.CASCADE, related_name="readers")

    class Meta(UserOrGroup.Meta):
        constraints = [
            models.CheckConstraint(condition=IS_USER_OR_GROUP, name="assistant_reader_is_a_user_or_a_group")
        ]
