"""Knowledge bases, their documents, the versions of these, and the chunks that are searched."""

import uuid
from collections.abc import Iterator
from typing import Any, NoReturn

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from cairn.accounts.models import User
from cairn.answers import Grounding
from cairn.message_fields import MessageField, MessageJSONField


class Sensitivity(models.TextChoices):
    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"


class OutsideModels(models.TextChoices):
    """Rule of a knowledge base for language models outside the organisation. DEFAULT: the setting decides."""

    DEFAULT = "default"
    ALLOW = "allow"
    FORBID = "forbid"


class HelpAudience(models.TextChoices):
    USERS = "users"
    ADMINS = "admins"
    OPERATORS = "operators"


class KnowledgeBaseQuerySet(models.QuerySet["KnowledgeBase"]):
    def present(self) -> "KnowledgeBaseQuerySet":
        return self.filter(deleted_at=None)

    def in_library(self) -> "KnowledgeBaseQuerySet":
        """Exclude those that hold the files of a conversation."""
        return self.filter(conversation=None)

    def help(self) -> "KnowledgeBaseQuerySet":
        """Those that Cairn created from its own documentation."""
        return self.exclude(help_for="")


class KnowledgeBase(models.Model):
    """A collection of documents with its own access rights.

    A knowledge base is `official` if an admin or a command created it, or if an admin has approved it
    since. `owner` is the person responsible for its content. Documents older than `retention_days` are
    deleted by schedule; null keeps them. `help_for`: for whom Cairn's own help in it is written, in
    `help_language`; both are empty for all other knowledge bases. `conversation`: the conversation whose
    files it holds, which nobody but the owner may read and nobody may change; null for those of the library.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=140, unique=True)
    description = models.TextField(blank=True)
    sensitivity = models.CharField(max_length=12, choices=Sensitivity.choices, default=Sensitivity.INTERNAL)
    grounding = models.CharField(max_length=6, choices=Grounding.choices, default=Grounding.STRICT)
    outside_models = models.CharField(
        max_length=7, choices=OutsideModels.choices, default=OutsideModels.DEFAULT
    )
    official = models.BooleanField(default=False)
    owner = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    retention_days = models.PositiveIntegerField(null=True, blank=True)
    help_for = models.CharField(
        max_length=9, choices=HelpAudience.choices, blank=True, default="", editable=False
    )
    help_language = models.CharField(max_length=10, blank=True, default="", editable=False)
    conversation = models.UUIDField(null=True, unique=True, editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = KnowledgeBaseQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.name


class ReservedSlugQuerySet(models.QuerySet["ReservedSlug"]):
    def delete(self) -> NoReturn:
        raise TypeError(_PERMANENT)

    def update(self, **kwargs: Any) -> NoReturn:  # noqa: ARG002
        raise TypeError(_PERMANENT)


_PERMANENT = "Reserved slugs are never changed or deleted."


class ReservedSlug(models.Model):
    """A slug that a knowledge base or assistant has or once had.

    Rows are never deleted: scripts that still name an erased knowledge base must not end up in another one.
    """

    slug = models.SlugField(max_length=140, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ReservedSlugQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.slug

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding or kwargs.get("force_update"):
            raise TypeError(_PERMANENT)
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:  # noqa: ARG002
        raise TypeError(_PERMANENT)


MAX_NESTING_DEPTH = 4
"""So many containers a document may lie in, such as a file in a ZIP in a mail."""


class DocumentQuerySet(models.QuerySet["Document"]):
    def present(self) -> "DocumentQuerySet":
        return self.filter(deleted_at=None, knowledge_base__deleted_at=None)

    def ready(self) -> "DocumentQuerySet":
        return self.exclude(active_version=None)

    def being_read(self) -> "DocumentQuerySet":
        """Filter by documents that have no version to answer from yet, and will have one unless it fails."""
        waiting = (VersionState.QUEUED, VersionState.PROCESSING)
        return self.filter(active_version=None, latest_version__state__in=waiting)

    def with_status(self, status: str) -> "DocumentQuerySet":
        """The same rule as `Document.status`, in SQL."""
        match status:
            case "ready":
                return self.ready()
            case "deleted":
                return self.exclude(deleted_at=None)
            case _:
                return self.filter(active_version=None, latest_version__state=status)

    def titled_like(self, text: str) -> "DocumentQuerySet":
        return self.filter(Q(title__icontains=text) | Q(source_uri__icontains=text))

    def tagged(self, tag: str) -> "DocumentQuerySet":
        return self.filter(tags__name=tag)

    def levels_in(self, container: "Document") -> "Iterator[DocumentQuerySet]":
        """Yield the embedded documents level by level.

        A caller that changes each level before asking for the next misses nothing that is added meanwhile:
        adding to a container locks its row.
        """
        for depth in range(1, MAX_NESTING_DEPTH + 1):
            yield self.filter(**{"__".join(["parent"] * depth): container})

    def failed(self) -> "DocumentQuerySet":
        return self.filter(active_version=None, latest_version__state=VersionState.FAILED)

    def with_versions(self) -> "DocumentQuerySet":
        return self.select_related("active_version", "latest_version", "knowledge_base", "owner")


class Document(models.Model):
    """A source in a knowledge base. An upload with the same `source_key` is a new version.

    `active_version` is used for answers; `latest_version` was uploaded last. `narrowed` documents are
    restricted to their readers and the managers. `index_stale`: the index does not have the current readers,
    tags or source yet. `parent` is the mail or archive that contains it, whose restrictions apply as well.
    Each review sets the next one `review_days` later.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    knowledge_base = models.ForeignKey(KnowledgeBase, on_delete=models.CASCADE, related_name="documents")
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="children")
    source_key = models.CharField(max_length=1000)
    source_uri = models.CharField(max_length=1000, blank=True)
    title = models.CharField(max_length=500)
    title_given = models.BooleanField(default=False)
    metadata = models.JSONField(default=dict, blank=True)
    owner = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="owned_documents")
    review_by = models.DateField(null=True, blank=True)
    review_days = models.PositiveIntegerField(null=True, blank=True)
    reviewed_at = models.DateTimeField(null=True, blank=True)
    narrowed = models.BooleanField(default=False)
    """Pages and docs call such a document "restricted"."""
    forbids_outside_models = models.BooleanField(default=False)
    """Applies to the documents embedded in it as well."""

    active_version = models.ForeignKey(
        "DocumentVersion", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    latest_version = models.ForeignKey(
        "DocumentVersion", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    index_stale = models.BooleanField(default=False)
    deleted_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = DocumentQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["knowledge_base", "source_key"],
                condition=Q(deleted_at=None),
                name="one_document_per_source",
            )
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def status(self) -> str:
        """queued, processing, ready, failed or deleted."""
        if self.deleted_at:
            return "deleted"
        if self.active_version:
            return "ready"
        return self.latest_version.state if self.latest_version else VersionState.QUEUED

    @property
    def outermost(self) -> "Document":
        """The document that was uploaded, which this one is or lies in."""
        return self.parent.outermost if self.parent else self

    @property
    def shown_version(self) -> "DocumentVersion | None":
        return self.active_version or self.latest_version

    @property
    def pending_version(self) -> "DocumentVersion | None":
        """A newer version on its way, or failed, while an older one answers."""
        return (
            self.latest_version
            if self.active_version and self.latest_version != self.active_version
            else None
        )


class Tag(models.Model):
    """A label from the document's metadata (`tags`), in a table so that it can be filtered on."""

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="tags")
    name = models.CharField(max_length=100, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["document", "name"], name="tag_once_per_document")]

    def __str__(self) -> str:
        return self.name


class VersionState(models.TextChoices):
    QUEUED = "queued"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


class VersionQuerySet(models.QuerySet["DocumentVersion"]):
    def leftovers(self) -> "VersionQuerySet":
        """Versions that are no longer used in answers and still have chunks."""
        replaced = Q(number__lt=F("document__active_version__number"))
        return self.filter(replaced | Q(state=VersionState.FAILED), chunks__isnull=False).distinct()


class DocumentVersion(models.Model):
    """The bytes of one upload and what became of them. `original` and `rendition` are storage names.

    `properties` are what the file says of itself, such as a mail's `from`, `to`, `date` and `subject`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    filename = models.CharField(max_length=255)
    original = models.CharField(max_length=200)
    rendition = models.CharField(max_length=200, blank=True)
    media_type = models.CharField(max_length=120, blank=True)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=VersionState.choices, default=VersionState.QUEUED)
    error_code = models.CharField(max_length=30, blank=True)
    error_message = MessageField(blank=True)
    pages = models.PositiveIntegerField(null=True)
    language = models.CharField(max_length=16, null=True)
    chunk_count = models.PositiveIntegerField(default=0)
    report = MessageJSONField(default=dict)
    properties = models.JSONField(default=dict)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = VersionQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [models.UniqueConstraint(fields=["document", "number"], name="version_numbered_once")]

    def __str__(self) -> str:
        return f"{self.filename} v{self.number}"


class ChunkQuerySet(models.QuerySet["Chunk"]):
    def active(self) -> "ChunkQuerySet":
        """Chunks that may answer: of the active version of a document that is there."""
        return self.filter(
            version=F("version__document__active_version"),
            version__document__deleted_at=None,
            version__document__knowledge_base__deleted_at=None,
        )


class Chunk(models.Model):
    """`id` is uuid5(version, ordinal). `context` is embedded with `text` but not shown as its text.

    `cells` has a `CellLine` for each line of `text` that comes from a sheet. `links` has start, end and URL
    of each link in `text`; null if there is none, or if the passage was indexed before links were kept.
    `code` has start and end of each piece of code in `text`, and is null for the same reasons.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    version = models.ForeignKey(DocumentVersion, on_delete=models.CASCADE, related_name="chunks")
    ordinal = models.PositiveIntegerField()
    text = models.TextField()
    context = models.TextField(blank=True)
    section = models.JSONField(default=list)
    page = models.PositiveIntegerField(null=True)
    elements = models.JSONField(default=list)
    cells = models.JSONField(default=list)
    links = models.JSONField(null=True)
    code = models.JSONField(null=True)
    tokens = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)

    objects = ChunkQuerySet.as_manager()

    class Meta:
        ordering = ["version", "ordinal"]
        constraints = [models.UniqueConstraint(fields=["version", "ordinal"], name="chunk_numbered_once")]

    def __str__(self) -> str:
        return f"{self.version_id}#{self.ordinal}"
