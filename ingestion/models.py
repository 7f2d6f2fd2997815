"""Tables of the ingestion pipeline. The tables, not the broker, are the source of truth about jobs."""

import uuid
from datetime import timedelta

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from cairn.accounts.models import User
from cairn.library.models import Document, DocumentVersion, KnowledgeBase
from cairn.message_fields import MessageField
from cairn.settings import environment


class Stage(models.TextChoices):
    QUEUED = "queued"
    PARSING = "parsing"
    CHUNKING = "chunking"
    EMBEDDING = "embedding"
    INDEXING = "indexing"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = (Stage.READY, Stage.FAILED, Stage.CANCELLED)
RUNNING = (Stage.PARSING, Stage.CHUNKING, Stage.EMBEDDING, Stage.INDEXING)


class Lane(models.TextChoices):
    """Priority of a job: interactive if a user waits for it, bulk if it is one of many."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


LEASE = timedelta(seconds=environment().job_lease_seconds)
LONGEST_PAUSE = timedelta(minutes=10)


class JobQuerySet(models.QuerySet["Job"]):
    """Queries for jobs. Times are compared with the database's clock, as a worker's may be wrong.

    Times too far in the future were written by a wrong clock and count as past.
    """

    def open(self) -> "JobQuerySet":
        return self.filter(stage__in=(Stage.QUEUED, *RUNNING))

    def queued(self) -> "JobQuerySet":
        return self.filter(stage=Stage.QUEUED)

    def due(self) -> "JobQuerySet":
        """Queued jobs whose pause after a failed attempt is over.

        Embedded files wait until the job of their container has ended.
        """
        paused = Q(not_before__gt=Now(), not_before__lte=Now() + LONGEST_PAUSE)
        container = Job.objects.open().filter(version__document=OuterRef("version__document__parent"))
        return self.queued().filter(Q(not_before=None) | ~paused).exclude(Exists(container))

    def dropped(self) -> "JobQuerySet":
        """Running jobs whose worker has released them or died."""
        return self.filter(stage__in=RUNNING).exclude(_has_live_lease())

    def leased(self) -> "JobQuerySet":
        """Jobs that a worker is processing."""
        return self.filter(_has_live_lease())

    def exhausted(self) -> "JobQuerySet":
        """Dead letters: jobs that failed after the last attempt and need attention."""
        return self.filter(stage=Stage.FAILED, attempts__gte=environment().job_max_attempts)

    def in_order(self) -> "JobQuerySet":
        """Order in which jobs of a lane are claimed."""
        return self.order_by("turn", "created_at", "id")


def _has_live_lease() -> Q:
    return Q(lease__isnull=False, lease_until__gte=Now(), lease_until__lte=Now() + 2 * LEASE)


_QUEUED = Q(stage=Stage.QUEUED)


class Job(models.Model):
    """The work to make one version searchable. `done` of `total` counts pages, chunks or points, by stage.

    A worker has the job while `lease` is its token and `lease_until` is in the future; queued jobs have no
    lease. `user` is who submitted it, used for fair scheduling (see `ingestion.jobs.fair_queue`).
    `last_error` describes the last failed attempt.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.OneToOneField(DocumentVersion, on_delete=models.CASCADE, related_name="job")
    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    lane = models.CharField(max_length=11, choices=Lane.choices, default=Lane.INTERACTIVE)
    turn = models.PositiveBigIntegerField(default=0)
    stage = models.CharField(max_length=9, choices=Stage.choices, default=Stage.QUEUED)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    cancel_requested = models.BooleanField(default=False)
    lease = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, blank=True)
    stage_since = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(fields=["lane", "turn", "created_at"], condition=_QUEUED, name="job_queue"),
            models.Index(fields=["user", "lane", "stage", "turn"], name="job_queue_of_user"),
            models.Index(fields=["stage", "updated_at"], name="job_stage"),
        ]

    def __str__(self) -> str:
        return f"job {self.id} {self.stage}"

    @property
    def ended(self) -> bool:
        return self.stage in ENDED


class ImportKind(models.TextChoices):
    FOLDER = "folder"
    ARCHIVE = "archive"
    WATCH = "watch"
    SOURCE = "source"


class Import(models.Model):
    """A batch of files. `expected` is the announced number of files, if any.

    `container` is the archive or mail that the files came from. `unchanged` counts files that were not sent,
    in addition to the items. After `closed_at` no more files are accepted.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    knowledge_base = models.ForeignKey(KnowledgeBase, on_delete=models.CASCADE, related_name="imports")
    kind = models.CharField(max_length=7, choices=ImportKind.choices, default=ImportKind.FOLDER)
    label = models.CharField(max_length=255)
    expected = models.PositiveIntegerField(null=True)
    container = models.ForeignKey(DocumentVersion, null=True, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    unchanged = models.PositiveIntegerField(default=0)
    closed_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.label


class Outcome(models.TextChoices):
    """Result of submitting a file. The further result of accepted files is that of their job."""

    ACCEPTED = "accepted"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    REMOVED = "removed"


class ImportItem(models.Model):
    """One file of an import. `code` and `message` explain a refusal."""

    batch = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="items")
    source_uri = models.CharField(max_length=1000)
    outcome = models.CharField(max_length=9, choices=Outcome.choices)
    code = models.CharField(max_length=30, blank=True)
    message = MessageField(blank=True)
    document = models.ForeignKey(Document, null=True, on_delete=models.SET_NULL, related_name="+")
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="items")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.source_uri} {self.outcome}"


UPLOAD_TTL = timedelta(days=1)
"""An upload in parts that has got nothing for so long was given up."""


class PartialUploadQuerySet(models.QuerySet["PartialUpload"]):
    def fresh(self) -> "PartialUploadQuerySet":
        return self.filter(updated_at__gt=Now() - UPLOAD_TTL)

    def given_up(self) -> "PartialUploadQuerySet":
        return self.filter(updated_at__lte=Now() - UPLOAD_TTL)

    def open(self) -> "PartialUploadQuerySet":
        return self.fresh().filter(completed_at=None)


class PartialUpload(models.Model):
    """A resumable upload of a file in consecutive parts. `received` counts the bytes stored so far.

    `options` are those for `document_submit`. `fingerprint` is the client's own identifier of the file,
    used to resume. `document` and `job` are set on completion.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    knowledge_base = models.ForeignKey(KnowledgeBase, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    batch = models.ForeignKey(Import, null=True, on_delete=models.CASCADE, related_name="+")
    filename = models.CharField(max_length=255)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64, blank=True)
    options = models.JSONField(default=dict, db_column="said")
    fingerprint = models.CharField(max_length=200, blank=True)
    received = models.BigIntegerField(default=0)
    document = models.ForeignKey(Document, null=True, on_delete=models.CASCADE, related_name="+")
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")
    completed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now)

    objects = PartialUploadQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [models.Index(fields=["updated_at"], name="partial_upload_age")]

    def __str__(self) -> str:
        return f"{self.filename} {self.received}/{self.size}"


class UploadPart(models.Model):
    """A stored part of a resumable upload. `name` is its name in the storage."""

    upload = models.ForeignKey(PartialUpload, on_delete=models.CASCADE, related_name="parts")
    offset = models.BigIntegerField()
    size = models.PositiveIntegerField()
    name = models.CharField(max_length=200)

    class Meta:
        ordering = ["upload", "offset"]
        constraints = [models.UniqueConstraint(fields=["upload", "offset"], name="upload_part_once")]

    def __str__(self) -> str:
        return f"{self.upload_id}@{self.offset}"


class Watch(models.Model):
    """A folder on the server that is scanned periodically. `result` has the counts of the last scan.

    With `prune`, documents whose files have vanished are deleted. A scan is running while `busy_until` is in
    the future.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    knowledge_base = models.ForeignKey(KnowledgeBase, on_delete=models.CASCADE, related_name="watches")
    path = models.CharField(max_length=1000)
    prune = models.BooleanField(default=False)
    every_seconds = models.PositiveIntegerField(default=300)
    enabled = models.BooleanField(default=True)
    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    looked_at = models.DateTimeField(null=True)
    busy_until = models.DateTimeField(null=True)
    batch = models.ForeignKey(Import, null=True, on_delete=models.SET_NULL, related_name="+")
    result = models.JSONField(default=dict)
    error = MessageField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["knowledge_base", "path"], name="watch_once_per_folder")
        ]

    def __str__(self) -> str:
        return self.path


class WatchedFile(models.Model):
    """Digest of a scanned file, which is read again only if its size or modification time differ."""

    watch = models.ForeignKey(Watch, on_delete=models.CASCADE, related_name="files")
    source_uri = models.CharField(max_length=1000)
    size = models.BigIntegerField()
    mtime_ns = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["watch", "source_uri"], name="watched_file_once"),
        ]

    def __str__(self) -> str:
        return self.source_uri


class SampleDocument(models.Model):
    """A document of the built-in help. Only these are deleted when a new release lacks their file."""

    document = models.OneToOneField(Document, on_delete=models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return str(self.document_id)


class ReceiptState(models.TextChoices):
    PENDING = "pending"
    DONE = "done"


class Receipt(models.Model):
    """Proof of an erasure: what was removed, and when a search confirmed it.

    `knowledge_base` is the plain id of the object's knowledge base, which may be gone; null for accounts.
    `object` is "document:ID", "knowledge-base:ID" or "user:ID". `waits_for` is set after the removal: for
    each index generation, the number of erasures that must be purged from its files before the receipt is
    done.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    object = models.CharField(max_length=80)
    knowledge_base = models.UUIDField(null=True, editable=False)
    state = models.CharField(max_length=7, choices=ReceiptState.choices, default=ReceiptState.PENDING)
    removed = models.JSONField(default=dict)
    requested_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    verified_at = models.DateTimeField(null=True)
    waits_for = models.JSONField(null=True)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"receipt {self.object} {self.state}"


class IdempotencyKey(models.Model):
    """The response to an upload, returned again when the same request is repeated."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    document = models.UUIDField()
    job = models.UUIDField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_once")]

    def __str__(self) -> str:
        return self.key


class Clock(models.Model):
    """Lease for the process that schedules periodic tasks; see `ingestion.beat_lease`. A single row."""

    id = models.PositiveSmallIntegerField(primary_key=True)
    holder = models.UUIDField()
    until = models.DateTimeField()


class ProcessKind(models.TextChoices):
    WORKER = "worker"
    BEAT = "beat"


class RunningProcess(models.Model):
    """A worker or a beat process that runs, or ended without deregistering; see `ingestion.jobs.presence`.

    Times are the database's. `queues` is empty for beat.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=6, choices=ProcessKind.choices)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    queues = models.JSONField(default=list)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["started_at", "id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.host}:{self.pid}"


class SourceReaders(models.TextChoices):
    """Who may read the documents of a source.

    `managers`: managers of the knowledge base only. `everyone`: everyone who may use the knowledge base.
    """

    SOURCE = "source"
    MANAGERS = "managers"
    EVERYONE = "everyone"


class SourceQuerySet(models.QuerySet["Source"]):
    def present(self) -> "SourceQuerySet":
        return self.filter(deleted_at=None, knowledge_base__deleted_at=None)

    def with_failed_check(self) -> "SourceQuerySet":
        """Sources whose last test failed, and that no task has read since."""
        since = SourceSchedule.objects.filter(source=OuterRef("pk"), succeeded_at__gt=OuterRef("checked_at"))
        return self.exclude(check_error="").exclude(Exists(since))


class Source(models.Model):
    """A system outside whose documents a knowledge base follows; see `ingestion.sources`.

    `secrets` is encrypted. `directory` is the `Identity.source` whose ids the source's people have as well;
    "" if there is none. With `match_email`, people are also linked to accounts by e-mail address. `user` is
    who set it up and must still manage the knowledge base. `cursor` is where the next listing starts. With
    `removal_confirmed`, that listing may remove most of the documents, since somebody requested it in full. A
    deleted source is hidden until a worker has removed its rows, and with `delete_documents` its
    documents. `check_error` is the problem of the last test of its stored options, at `checked_at`.
    `webhook_secret` is encrypted; "" if the source receives no webhooks. The last valid one came at
    `webhook_received_at`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    knowledge_base = models.ForeignKey(KnowledgeBase, on_delete=models.CASCADE, related_name="sources")
    kind = models.CharField(max_length=50)
    name = models.CharField(max_length=120)
    options = models.JSONField(default=dict)
    secrets = models.TextField(blank=True)
    readers = models.CharField(max_length=8, choices=SourceReaders.choices, default=SourceReaders.SOURCE)
    directory = models.CharField(max_length=100, blank=True)
    match_email = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    cursor = models.TextField(blank=True)
    removal_confirmed = models.BooleanField(default=False)
    batch = models.ForeignKey(Import, null=True, on_delete=models.SET_NULL, related_name="+")
    deleted_at = models.DateTimeField(null=True, editable=False)
    delete_documents = models.BooleanField(default=False)
    check_error = MessageField(blank=True)
    checked_at = models.DateTimeField(null=True, editable=False)
    webhook_secret = models.TextField(blank=True, editable=False)
    webhook_created_at = models.DateTimeField(null=True, editable=False)
    webhook_received_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SourceQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["knowledge_base", "name"], name="source_name_once_per_base")
        ]

    def __str__(self) -> str:
        return self.name


class SourceTask(models.TextChoices):
    """What is done with a source, each on a schedule of its own."""

    CONTENT = "content"
    ACCESS = "access"
    PEOPLE = "people"


class SourceSchedule(models.Model):
    """When a task of a source runs, and how its last run ended. Times are the database's.

    A worker runs it while `lease` is its token and `lease_until` is in the future. `failures` counts failed
    runs in a row; the next attempt waits until `not_before`. With `refused`, the last one failed for a reason
    that stays until somebody changes something, such as a wrong password. `result` has the counts of the last
    run.
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="schedules")
    task = models.CharField(max_length=7, choices=SourceTask.choices)
    every_seconds = models.PositiveIntegerField()
    requested_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    succeeded_at = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    lease = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    refused = models.BooleanField(default=False)
    result = models.JSONField(default=dict)
    error = MessageField(blank=True)

    class Meta:
        ordering = ["source", "task"]
        constraints = [models.UniqueConstraint(fields=["source", "task"], name="source_task_once")]

    def __str__(self) -> str:
        return f"{self.task} of {self.source_id}"


class VerificationState(models.TextChoices):
    """`differences`: Cairn enforced other permissions than the source has, or a canary was found."""

    QUEUED = "queued"
    RUNNING = "running"
    PASSED = "passed"
    DIFFERENCES = "differences"
    FAILED = "failed"


class SourceVerification(models.Model):
    """A comparison of what Cairn enforces for a sample of documents with what their source says.

    `documents` of `planned` were compared. With `people_read`, so were the groups of the source. `canaries`
    are documents that somebody without permission asked for, and `found` how many of them they found. Of
    people and documents, `differences` only has ids. `error` says why a run didn't end.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="verifications")
    state = models.CharField(
        max_length=11, choices=VerificationState.choices, default=VerificationState.QUEUED
    )
    planned = models.PositiveIntegerField(default=0)
    documents = models.PositiveIntegerField(default=0)
    people_read = models.BooleanField(default=False)
    canaries = models.PositiveIntegerField(default=0)
    found = models.PositiveIntegerField(default=0)
    differences = models.JSONField(default=list)
    error = MessageField(blank=True)
    requested_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"verification of {self.source_id} {self.state}"


class SourceItemState(models.TextChoices):
    """`pending`: listed, and not imported yet. `failed`: could not be imported; `error` says why."""

    SYNCED = "synced"
    PENDING = "pending"
    FAILED = "failed"
    EXCLUDED = "excluded"


_EXCLUDED = Q(excluded=True)
_FAILED = Q(excluded=False) & ~Q(error="")
_PENDING = Q(excluded=False, error="") & ~Q(version=models.F("synced_version"))
ITEM_STATES = {
    SourceItemState.EXCLUDED: _EXCLUDED,
    SourceItemState.FAILED: _FAILED,
    SourceItemState.PENDING: _PENDING,
    SourceItemState.SYNCED: ~(_EXCLUDED | _FAILED | _PENDING),
}


class SourceItemQuerySet(models.QuerySet["SourceItem"]):
    def with_state(self, state: SourceItemState) -> "SourceItemQuerySet":
        return self.filter(ITEM_STATES[state])


class SourceItem(models.Model):
    """An item of a source, as it was last listed; see `ingestion.sources.protocol.Item`.

    `synced_version` and `synced_access_version` are those that the document has. `document` is null for items
    that could not be imported; `error` says why. An `excluded` item is not imported, since somebody deleted
    its document. `listing` is the listing that the item was last seen in.
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="items")
    external_id = models.CharField(max_length=500)
    name = models.CharField(max_length=255)
    title = models.CharField(max_length=500, blank=True)
    uri = models.CharField(max_length=1000)
    container = models.CharField(max_length=1000, blank=True)
    version = models.CharField(max_length=200)
    access_version = models.CharField(max_length=200, blank=True)
    synced_version = models.CharField(max_length=200, blank=True)
    synced_access_version = models.CharField(max_length=200, blank=True)
    size = models.BigIntegerField(null=True)
    modified = models.DateTimeField(null=True)
    sha256 = models.CharField(max_length=64, blank=True)
    document = models.ForeignKey(Document, null=True, on_delete=models.SET_NULL, related_name="+")
    excluded = models.BooleanField(default=False)
    listing = models.UUIDField(null=True)
    error = MessageField(blank=True)

    objects = SourceItemQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["source", "external_id"], name="source_item_once")]
        indexes = [models.Index(fields=["source", "container"], name="source_item_container")]

    def __str__(self) -> str:
        return self.uri
