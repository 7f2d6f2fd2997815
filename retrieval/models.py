"""Index generations, and conversations with what each answer stood on."""

import secrets
import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy

from cairn.accounts.models import IS_USER_OR_GROUP, User, UserOrGroup
from cairn.library.models import Document
from cairn.settings.stored.models import RegisteredModel

WORD_KEY_BYTES = 32


def new_word_key() -> bytes:
    """A random key for the word hashes of an index: see retrieval.index.word_hashes."""
    return secrets.token_bytes(WORD_KEY_BYTES)


class GenerationState(models.TextChoices):
    """One is active. ready: built and waiting to be swapped in. retired: the previously active one."""

    BUILDING = "building"
    READY = "ready"
    ACTIVE = "active"
    RETIRED = "retired"
    REMOVING = "removing"


class IndexGenerationQuerySet(models.QuerySet["IndexGeneration"]):
    def active(self) -> "IndexGenerationQuerySet":
        return self.filter(state=GenerationState.ACTIVE)

    def retired(self) -> "IndexGenerationQuerySet":
        return self.filter(state=GenerationState.RETIRED)

    def remaining(self) -> "IndexGenerationQuerySet":
        """All but those that are being removed."""
        return self.exclude(state=GenerationState.REMOVING)


class IndexGeneration(models.Model):
    """A vector space on disk or server. Vectors of two embedding models never share one.

    `embedding_model` is the identity of the space; `encoder` and `served` say how to get the model again.
    Both and `dimension` are empty until the model was loaded once. `lease` belongs to its current worker;
    `writing` is the document whose points are being written. `error` is why work on it has ended.
    `comparison` is how well it found the questions of a gold set, beside the active one. `calibration` has
    thresholds of answerability, fitted on the gold set with this generation's model.

    `place` names the folder or collection with the points; empty means `name`. An erasure rewrites the points
    to `next_place`; while `copying`, every writer writes to both. `old_place` still has to be removed. Word
    hashes are keyed with `word_key` (empty: not yet keyed). `remains` counts the erasures whose bytes the
    place may still have, `rewritten` how many of them were gone after the last rewrite.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=60, unique=True)
    embedding_model = models.CharField(max_length=200)
    dimension = models.PositiveIntegerField()
    encoder = models.CharField(max_length=1000, blank=True, default="")
    served = models.BooleanField(default=False)
    state = models.CharField(max_length=8, choices=GenerationState.choices, default=GenerationState.BUILDING)
    swap_requested = models.BooleanField(default=False)
    optimised = models.BooleanField(default=False)
    paused = models.BooleanField(default=False)
    error = models.TextField(blank=True, default="")
    lease = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    writing = models.UUIDField(null=True)
    comparison = models.JSONField(default=dict)
    calibration = models.JSONField(default=dict)
    activated_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    place = models.CharField(max_length=80, blank=True, default="")
    word_key = models.BinaryField(default=new_word_key, blank=True)
    next_place = models.CharField(max_length=80, blank=True, default="")
    next_word_key = models.BinaryField(default=bytes, blank=True)
    copying = models.BooleanField(default=False)
    old_place = models.CharField(max_length=80, blank=True, default="")
    remains = models.PositiveBigIntegerField(default=0)
    rewritten = models.PositiveBigIntegerField(default=0)
    rewrite_error = models.TextField(blank=True, default="")
    rewrite_after = models.DateTimeField(null=True)

    objects = IndexGenerationQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["state"], condition=models.Q(state="active"), name="one_active_generation"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.embedding_model})"


class ModelProfile(models.Model):
    """The use of a language model that an evaluation found best.

    `chat_model`: as the settings name it. `profile`: a `retrieval.types.AnswerProfile`.
    `measured`: the figures of each profile that was compared, with `questions` gold questions.
    """

    chat_model = models.CharField(max_length=1000, unique=True)
    profile = models.JSONField()
    measured = models.JSONField(default=list)
    questions = models.PositiveIntegerField()
    evaluated_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.chat_model


class IndexedVersion(models.Model):
    """A version whose points a generation has, or is getting: the first `written` of its chunks.

    `stamp` is the document's `updated_at` whose readers and tags the points have; None while chunks are
    missing. Kept for generations that do not answer; what the active one has, SQL says.
    """

    generation = models.ForeignKey(IndexGeneration, on_delete=models.CASCADE, related_name="contents")
    document = models.UUIDField()
    version = models.UUIDField()
    written = models.PositiveIntegerField(default=0)
    stamp = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["generation", "version"], name="indexed_version_once")]
        indexes = [models.Index(fields=["document"], name="indexed_document")]

    def __str__(self) -> str:
        return f"{self.version} in {self.generation_id}"


class Channel(models.TextChoices):
    """api: one question of a program that keeps its conversations itself, and shows them."""

    CHAT = "chat"
    API = "api"


class ConversationFolder(models.Model):
    """A folder in which its user sorts conversations."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=60)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="folder_name_once")]

    def __str__(self) -> str:
        return self.name


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def expired(self) -> "ConversationQuerySet":
        return self.filter(expires_at__lte=timezone.now())

    def remaining(self) -> "ConversationQuerySet":
        """Exclude conversations that have expired and are about to be deleted."""
        return self.exclude(expires_at__lte=timezone.now())

    def listed(self) -> "ConversationQuerySet":
        """Return what the history lists: conversations with a question that are not temporary."""
        return self.exclude(title="").filter(temporary=False)


class Conversation(models.Model):
    """A tree of messages; what is shown of it is the path from the first question to `current`.

    `pinned_at`: since when its owner keeps it at the top; null: not at all. `confined`: each of its questions
    was asked within the knowledge bases that `bases` lists. Started with an assistant, it keeps it:
    `assistant_name` is its name when it was last asked, and `assistant` is null once it was deleted. Nobody
    can open it after `expires_at`, which only temporary ones have, and ones without a question; the latter
    have no title either.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="conversations")
    title = models.CharField(max_length=200)
    channel = models.CharField(max_length=4, choices=Channel.choices, default=Channel.CHAT)
    current = models.ForeignKey("Message", on_delete=models.SET_NULL, null=True, related_name="+")
    pinned_at = models.DateTimeField(null=True)
    folder = models.ForeignKey(
        ConversationFolder, on_delete=models.SET_NULL, null=True, related_name="conversations"
    )
    confined = models.BooleanField(default=False)
    assistant = models.ForeignKey(
        "assistants.Assistant", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    assistant_name = models.CharField(max_length=120, blank=True, default="")
    temporary = models.BooleanField(default=False)
    expires_at = models.DateTimeField(null=True, db_index=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at", "-id"]

    def __str__(self) -> str:
        return self.title


class ConversationBase(models.Model):
    """A knowledge base in which a question of the conversation was asked. A plain id: it outlives the
    knowledge base, so that a conversation about a deleted one does not open to other keys."""

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="bases")
    knowledge_base = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint("conversation", "knowledge_base", name="conversation_base_once")
        ]

    def __str__(self) -> str:
        return str(self.knowledge_base)


class DeletedConversation(models.Model):
    """A copy of a deleted conversation, which its owner may restore `until` then.

    `id`: that of the conversation. `rows`: all rows that were deleted, as JSON. `documents`: ids of documents
    whose words may be in it.
    """

    id = models.UUIDField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    rows = models.TextField()
    documents = models.JSONField(default=list)
    until = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["until", "id"]

    def __str__(self) -> str:
        return f"deleted conversation {self.id}"


class MessageState(models.TextChoices):
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class FeedbackReason(models.TextChoices):
    """Reasons that the chat offers for an unhelpful answer. Programs may send other ones."""

    MISSING = "missing", gettext_lazy("It should be in the documents, but isn’t")
    WRONG_PASSAGE = "wrong_passage", gettext_lazy("The passage is about something else")
    WRONG_ANSWER = "wrong_answer", gettext_lazy("The answer is wrong")
    INCOMPLETE = "incomplete", gettext_lazy("Something is missing")
    OUTDATED = "outdated", gettext_lazy("It’s out of date")
    OTHER = "other", gettext_lazy("Something else")


class MessageQuerySet(models.QuerySet["Message"]):
    def running(self) -> "MessageQuerySet":
        return self.filter(state=MessageState.RUNNING)


class Message(models.Model):
    """A question and its answer. `trace` holds ids, hashes and numbers enough to replay it, no text.

    `parent` is the message that it was asked after. Those with the same parent are versions of an answer
    where the question is the same, and branches where it is another. While it runs, `alive_at` is when its
    writer last gave a sign, and `followed_at` when somebody last looked who came after its asker had left.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, related_name="children")
    question = models.TextField()
    standalone_question = models.TextField(blank=True)
    answer = models.TextField(blank=True)
    state = models.CharField(max_length=8, choices=MessageState.choices, default=MessageState.RUNNING)
    verdict = models.CharField(max_length=10, blank=True)
    reason = models.TextField(blank=True)
    mode = models.CharField(max_length=10, blank=True)
    sentences = models.JSONField(default=list)
    nearest = models.JSONField(default=list)
    parts = models.JSONField(default=list)
    model = models.CharField(max_length=200, blank=True)
    usage = models.JSONField(default=dict)
    timings = models.JSONField(default=dict)
    trace = models.JSONField(default=dict)
    rating = models.CharField(max_length=4, blank=True)
    rating_reason = models.CharField(max_length=100, blank=True)
    rating_comment = models.TextField(blank=True)
    alive_at = models.DateTimeField(default=timezone.now)
    followed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"message {self.id}"

    @property
    def chosen_knowledge_bases(self) -> list[str] | None:
        """Ids of the knowledge bases that the asker chose; None for all."""
        return self.trace.get("knowledge_bases", []) if self.trace.get("whole") is False else None


class Share(models.Model):
    """A link by which others read a conversation, down to `last`, or `last` alone if `single`. To `everyone`
    who can sign in, or to its `readers`: with none of these left it is open to nobody."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="shares")
    last = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="+")
    single = models.BooleanField(default=False)
    everyone = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    renewed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["conversation"], condition=models.Q(single=False), name="conversation_shared_once"
            ),
            models.UniqueConstraint(
                fields=["last"], condition=models.Q(single=True), name="answer_shared_once"
            ),
        ]

    def __str__(self) -> str:
        return f"share {self.id}"

    @property
    def subjects(self) -> list[str]:
        return ["everyone"] if self.everyone else [reader.subject for reader in self.readers.all()]


class ShareReader(UserOrGroup):
    share = models.ForeignKey(Share, on_delete=models.CASCADE, related_name="readers")

    class Meta(UserOrGroup.Meta):
        constraints = [
            models.CheckConstraint(condition=IS_USER_OR_GROUP, name="share_reader_is_a_user_or_a_group")
        ]


class Citation(models.Model):
    """`chunk` and `version` are plain ids: chunks of replaced versions go, the citation stays.

    `location` is where the quote stands, in words, as when it was made. `links` has start, end and URL of
    each link in the quote; null if there is none.
    A marker that the answer quotes from a document goes with that document.
    """

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="citations")
    marker = models.PositiveIntegerField()
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="citations")
    version = models.UUIDField()
    chunk = models.UUIDField()
    title = models.CharField(max_length=500)
    page = models.PositiveIntegerField(null=True)
    location = models.TextField(blank=True, default="")
    section = models.JSONField(default=list)
    quote = models.TextField()
    boxes = models.JSONField(default=list)
    links = models.JSONField(null=True)

    class Meta:
        ordering = ["message", "marker", "id"]

    def __str__(self) -> str:
        return f"[{self.marker}]"


class ABTestState(models.TextChoices):
    """States of an A/B test. Of one that has ended, the state is the reason.

    failing: the candidate couldn't answer several times in a row. changed: one of the models is another one
    by now. stopped: by an admin.
    """

    RUNNING = "running"
    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "equal"
    FAILING = "failing"
    CHANGED = "changed"
    STOPPED = "stopped"


class ABTest(models.Model):
    """A share of the people gets answers from a candidate, the others from the active model.

    `percent` of people and `max_answers` of both models together are fixed before the start.
    `candidate_server` and so on say which models are compared: see `cairn.inference.model_identity`. `looks`:
    how many of the interim analyses are done. `results`: `retrieval.conversations.ab_tests.results` at the
    end, in numbers that stay when answers are deleted.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    candidate = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="ab_tests")
    candidate_server = models.CharField(max_length=1000, blank=True, default="")
    candidate_model = models.CharField(max_length=1000)
    active_server = models.CharField(max_length=1000, blank=True, default="")
    active_model = models.CharField(max_length=1000)
    percent = models.PositiveSmallIntegerField()
    max_answers = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=ABTestState.choices, default=ABTestState.RUNNING)
    looks = models.PositiveSmallIntegerField(default=0)
    results = models.JSONField(default=dict)
    started_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["state"], condition=models.Q(state=ABTestState.RUNNING), name="one_running_ab_test"
            )
        ]

    def __str__(self) -> str:
        return f"A/B test of {self.candidate_model} {self.created_at:%Y-%m-%d %H:%M}"


class ABTestOutcome(models.TextChoices):
    """Outcomes of an answer. failed: its model was unavailable, so another one or none wrote it."""

    SUPPORTED = "supported"
    PARTIAL = "partial"
    REFUSED = "refused"
    FAILED = "failed"


class ABTestAnswer(models.Model):
    """An answer that counts in an A/B test, without its words. It is deleted with its message, which also
    says who asked and how they rated the answer."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    test = models.ForeignKey(ABTest, on_delete=models.CASCADE, related_name="answers")
    message = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="ab_test_answer")
    is_candidate = models.BooleanField()
    outcome = models.CharField(max_length=9, choices=ABTestOutcome.choices)
    milliseconds = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.outcome} {self.id}"
