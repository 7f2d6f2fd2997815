"""Evaluation runs, stored for review and comparison, and gold questions created in the console."""

import uuid

from django.db import models
from django.utils import timezone

from cairn.accounts.models import User
from cairn.library.models import Document, KnowledgeBase
from cairn.message_fields import MessageField
from cairn.settings.stored.models import RegisteredModel
from retrieval.evaluation.gold_file import Kind
from retrieval.evaluation.red_team import SUITE_VERSION
from retrieval.models import Message


class EvaluationRun(models.Model):
    """Results of a run and its settings.

    `outcomes`: a list of `retrieval.evaluation.question_results.Asked`. `questions` and `right` count
    outcomes, so that lists need not load them.
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


class GoldQuestion(models.Model):
    """`kind`, `history` and `must_contain` as in `retrieval.evaluation.gold_file`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    knowledge_base = models.ForeignKey(KnowledgeBase, on_delete=models.CASCADE, related_name="gold_questions")
    question = models.TextField()
    kind = models.CharField(max_length=20, choices=[(kind.value, kind.value) for kind in Kind])
    history = models.JSONField(default=list)
    must_contain = models.JSONField(default=list)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.question

    @property
    def complete(self) -> bool:
        """False once the last document that answers it has been deleted."""
        return Kind(self.kind).unanswerable or bool(self.sources.all())


class GoldSource(models.Model):
    """A document that answers a gold question, and the sentences in it that do; both go with it."""

    question = models.ForeignKey(GoldQuestion, on_delete=models.CASCADE, related_name="sources")
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="+")
    quotes = models.JSONField(default=list)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["question", "document"], name="one_gold_source_per_document")
        ]

    def __str__(self) -> str:
        return f"{self.question_id} {self.document_id}"


class TrialState(models.TextChoices):
    """States of a run in which a worker tries out models."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


def _one_running(name: str) -> models.UniqueConstraint:
    """Return the constraint that allows one run at a time, however many are started concurrently."""
    running = models.Q(state=TrialState.RUNNING)
    return models.UniqueConstraint(fields=["state"], condition=running, name=name)


class Trial(models.Model):
    """A run in which a worker tries out models.

    `started_at`: when a worker took it on. `alive_at`: when it last made progress.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=9, choices=TrialState.choices, default=TrialState.RUNNING)
    results = models.JSONField(default=list)
    error = MessageField(blank=True, default="")
    requested_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    alive_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True
        ordering = ["-created_at", "-id"]


class RedTeamRun(Trial):
    """Attacks on a model, as `retrieval.evaluation.red_team` describes them.

    `server` and `model`: see `retrieval.evaluation.candidates.ModelPlace`. `chosen`: the name by which an
    admin chose the model; empty for the one in use. `sample`: how many attacks were chosen with `seed`; null
    for all. `results` lists what `run_attack` returned. `account` is the id of the account that was created
    for the run and has everything that was planted; null once that is removed. Only this id decides what is
    removed. `suite_version`: the `SUITE_VERSION` that carried it out; null before there was one.
    """

    server = models.CharField(max_length=1000, blank=True, default="")
    model = models.CharField(max_length=1000)
    chosen = models.CharField(max_length=1000, blank=True, default="")
    sample = models.PositiveIntegerField(null=True)
    seed = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField()
    suite_version = models.PositiveIntegerField(null=True)
    account = models.UUIDField(null=True)

    class Meta(Trial.Meta):
        constraints = [_one_running("one_running_red_team_run")]

    def __str__(self) -> str:
        return f"red team run {self.created_at:%Y-%m-%d %H:%M} {self.model}"

    @property
    def is_outdated(self) -> bool:
        """True if the results come from a suite whose results don't count any longer."""
        return bool(self.results) and (self.suite_version or 0) < SUITE_VERSION


class ModelComparison(Trial):
    """Two models over the same gold questions of a knowledge base.

    `first` and `second` are the names by which they were chosen; `first_server` and so on say what answered:
    see `retrieval.evaluation.candidates.ModelPlace`. `gold` lists the questions, and after the end only their
    ids; `results` what `ask_both` returned for each. Answers aren't stored.
    """

    knowledge_base = models.ForeignKey(KnowledgeBase, on_delete=models.CASCADE, related_name="+")
    first = models.CharField(max_length=1000)
    first_server = models.CharField(max_length=1000, blank=True, default="")
    first_model = models.CharField(max_length=1000)
    second = models.CharField(max_length=1000)
    second_server = models.CharField(max_length=1000, blank=True, default="")
    second_model = models.CharField(max_length=1000)
    gold = models.JSONField(default=list)

    class Meta(Trial.Meta):
        constraints = [_one_running("one_running_model_comparison")]

    def __str__(self) -> str:
        return f"{self.first_model} and {self.second_model}"


class ModelVerdict(models.Model):
    """Verdict of a comparison whose knowledge base was deleted: that one model was significantly worse,
    in numbers. No question and no name of the knowledge base stays.

    `only_better`: questions that only the better model answered rightly.
    """

    better_server = models.CharField(max_length=1000, blank=True, default="")
    better_model = models.CharField(max_length=1000)
    worse_server = models.CharField(max_length=1000, blank=True, default="")
    worse_model = models.CharField(max_length=1000)
    questions = models.PositiveIntegerField()
    only_better = models.PositiveIntegerField()
    only_worse = models.PositiveIntegerField()
    compared_at = models.DateTimeField()

    class Meta:
        ordering = ["-compared_at", "-id"]

    def __str__(self) -> str:
        return f"{self.worse_model} worse than {self.better_model}"


class ShadowRun(models.Model):
    """A question that a candidate answered beside the model whose answer people got, without its words.

    `active_server` and `active_model` say which model that was: see `cairn.inference.model_identity`.
    `same_sources`: whether both cite a document in common; null unless both cite any. `error`: the code of
    what kept the candidate from answering. `ended_at` is null while it answers.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="shadow_runs")
    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="shadow_runs")
    active_server = models.CharField(max_length=1000, blank=True, default="")
    active_model = models.CharField(max_length=1000)
    verdict = models.CharField(max_length=10, blank=True)
    same_sources = models.BooleanField(null=True)
    milliseconds = models.PositiveIntegerField(null=True)
    error = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [models.UniqueConstraint(fields=["message", "model"], name="shadow_run_once")]

    def __str__(self) -> str:
        return f"shadow run of {self.model_id} {self.created_at:%Y-%m-%d %H:%M}"
