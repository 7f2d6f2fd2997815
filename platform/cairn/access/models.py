"""Grants on knowledge bases, readers of restricted documents, access from sources, and access checks."""

import uuid
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils import timezone

from cairn.accounts.models import IS_USER_OR_GROUP, Group, User, UserOrGroup
from cairn.library.models import Document, KnowledgeBase
from cairn.message_fields import MessageField


class Role(models.TextChoices):
    READER = "reader"
    EDITOR = "editor"
    MANAGER = "manager"

    @property
    def rank(self) -> int:
        return _RANKS[self]

    def allows(self, required: "Role") -> bool:
        return self.rank >= required.rank


_RANKS = {role: rank for rank, role in enumerate(Role)}


class Grant(models.Model):
    """Role of a user or group in a knowledge base. Without a user or group it applies to everyone who can
    sign in."""

    knowledge_base = models.ForeignKey(KnowledgeBase, on_delete=models.CASCADE, related_name="grants")
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="grants")
    group = models.ForeignKey(Group, null=True, on_delete=models.CASCADE, related_name="grants")
    role = models.CharField(max_length=7, choices=Role.choices)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=Q(user=None) | Q(group=None), name="grant_has_one_subject"),
            models.UniqueConstraint(
                fields=["knowledge_base", "user"], condition=Q(user__isnull=False), name="one_grant_per_user"
            ),
            models.UniqueConstraint(
                fields=["knowledge_base", "group"],
                condition=Q(group__isnull=False),
                name="one_grant_per_group",
            ),
            models.UniqueConstraint(
                fields=["knowledge_base"], condition=Q(user=None, group=None), name="one_grant_for_everyone"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject} {self.role}"

    @property
    def subject(self) -> str:
        if self.user_id:
            return f"user:{self.user_id}"
        return f"group:{self.group_id}" if self.group_id else "everyone"


class DocumentReader(UserOrGroup):
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="readers")

    class Meta(UserOrGroup.Meta):
        constraints = [models.CheckConstraint(condition=IS_USER_OR_GROUP, name="reader_is_a_user_or_a_group")]


class SubjectKind(models.TextChoices):
    """Kinds of subjects. `unknown`: named by an entry, but never listed by the source, or a group that it no
    longer lists."""

    PERSON = "person"
    GROUP = "group"
    UNKNOWN = "unknown"


class SubjectLink(models.TextChoices):
    """How a person of a source was linked to an account. `nobody`: an admin decided that the person has
    none."""

    NONE = ""
    DIRECTORY = "directory"
    EMAIL = "email"
    MANUAL = "manual"
    NOBODY = "nobody"


class SourceSubject(models.Model):
    """A person or group of a source, known by the id there; see `cairn.access.source_access`.

    `user` is the account of a person. `people` of a group are all its members, directly or through other
    groups. `directory` is the `Identity.source` in which a person's `directory_id` is an id. `absent`: a
    person whom the source no longer lists. A manual link becomes effective again when the person is back.
    """

    source = models.UUIDField()
    external_id = models.CharField(max_length=500)
    kind = models.CharField(max_length=7, choices=SubjectKind.choices, default=SubjectKind.UNKNOWN)
    name = models.CharField(max_length=500, blank=True)
    email = models.CharField(max_length=320, blank=True)
    directory = models.CharField(max_length=100, blank=True)
    directory_id = models.CharField(max_length=255, blank=True)
    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="source_subjects")
    link = models.CharField(max_length=9, choices=SubjectLink.choices, blank=True, default=SubjectLink.NONE)
    absent = models.BooleanField(default=False)
    people = models.ManyToManyField("self", symmetrical=False, related_name="groups", blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint("source", "external_id", name="source_subject_once")]
        indexes = [models.Index(fields=["directory", "directory_id"], name="source_subject_directory")]

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        return self.name or self.external_id

    @property
    def members(self) -> "models.QuerySet[User]":
        """Return the accounts that have this id: a person's own, or those of all people in a group."""
        return User.objects.filter(
            Q(source_subjects=self.pk, source_subjects__absent=False)
            | Q(source_subjects__in=self.people.values("pk"))
        ).distinct()


class AccessList(models.Model):
    """Levels of a `SourceAccess`, shared by all documents of a source with the same levels.

    Only people allowed by all `level_count` levels may read. Without levels, nobody may.
    """

    source = models.UUIDField()
    digest = models.CharField(max_length=64)
    level_count = models.PositiveIntegerField()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint("source", "digest", name="access_list_once")]

    def __str__(self) -> str:
        return f"list:{self.pk}"


class AccessListEntry(models.Model):
    """Allow or deny a subject to read, in the order of `position`; everyone if `subject` is null."""

    access_list = models.ForeignKey(AccessList, on_delete=models.CASCADE, related_name="entries")
    level = models.PositiveIntegerField()
    position = models.PositiveIntegerField()
    subject = models.ForeignKey(SourceSubject, null=True, on_delete=models.PROTECT, related_name="entries")
    allow = models.BooleanField()

    class Meta:
        ordering = ["access_list", "level", "position"]
        constraints = [
            models.UniqueConstraint("access_list", "level", "position", name="access_list_entry_once")
        ]
        indexes = [
            models.Index(
                fields=["subject", "allow", "access_list", "level", "position"], name="access_list_of_subject"
            ),
            models.Index(
                fields=["access_list", "level", "position"],
                condition=Q(allow=False),
                name="access_list_denials",
            ),
        ]

    def __str__(self) -> str:
        return f"{'allow' if self.allow else 'deny'} {self.subject or 'everyone'}"


class SyncedAccess(models.Model):
    """Access that a source decides. Such a document is `narrowed` and has no `DocumentReader`.

    Without a list, only managers may read it; `unknown` says why.
    """

    document = models.OneToOneField(Document, on_delete=models.CASCADE, related_name="synced_access")
    source = models.UUIDField(db_index=True)
    access_list = models.ForeignKey(AccessList, null=True, on_delete=models.PROTECT, related_name="documents")
    unknown = MessageField(blank=True, default="")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"access of {self.document_id}"


class CheckState(models.TextChoices):
    RUNNING = "running"
    PASSED = "passed"
    LEAKED = "leaked"
    FAILED = "failed"


class AccessCheck(models.Model):
    """One run that planted canary documents and searched for them as people who may not see them.

    `leaks` lists {"who", "how", "what"} for each canary that was found, without its text.
    `error` says why a run has no result. `spots` counts searches for real documents by people who may not
    read them.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=7, choices=CheckState.choices, default=CheckState.RUNNING)
    probes = models.PositiveIntegerField(default=0)
    spots = models.PositiveIntegerField(default=0)
    leaks = models.JSONField(default=list)
    error = MessageField(blank=True, default="")
    requested_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"access check {self.created_at:%Y-%m-%d %H:%M} {self.state}"


class ArtifactKind(models.TextChoices):
    KNOWLEDGE_BASE = "knowledge_base"
    GROUP = "group"
    USER = "user"
    SOURCE = "source"


class CheckArtifactQuerySet(models.QuerySet["CheckArtifact"]):
    def ids(self, kind: ArtifactKind) -> "models.QuerySet[CheckArtifact, UUID]":
        """Return the ids of the recorded objects of a kind, for lists that leave them out."""
        return self.filter(kind=kind).order_by().values_list("object_id", flat=True)


class CheckArtifact(models.Model):
    """Object that an access check created and has not removed yet.

    The row is written in the same transaction as the object, so that a check that is killed at any moment
    leaves a complete list of what to remove. This list alone, never a name, decides what is removed, and what
    admins' lists and searches leave out.
    """

    check_run = models.ForeignKey(AccessCheck, null=True, on_delete=models.SET_NULL, related_name="artifacts")
    kind = models.CharField(max_length=14, choices=ArtifactKind.choices)
    object_id = models.UUIDField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = CheckArtifactQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint("kind", "object_id", name="check_artifact_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id}"
