"""Stored settings, one row for each section of the console, and the logo."""

from django.conf import settings
from django.db import models


class StoredSection(models.Model):
    """`values` are as `cairn.settings.stored.sections` describes them, secrets encrypted.

    `version` counts the changes, so that of two admins who save at once the later one is refused.
    """

    section = models.CharField(max_length=40, primary_key=True)
    values = models.JSONField(default=dict)
    version = models.PositiveIntegerField(default=1)
    changed_at = models.DateTimeField(auto_now=True)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    def __str__(self) -> str:
        return f"{self.section} {self.version}"


class Logo(models.Model):
    """The organisation's logo, a single row: a PNG file written by Cairn itself."""

    content = models.BinaryField()
    sha256 = models.CharField(max_length=64)

    def __str__(self) -> str:
        return self.sha256


class ModelType(models.TextChoices):
    CHAT = "chat"
    EMBEDDING = "embedding"
    RERANKER = "reranker"
    READER = "reader"
    CHECKER = "checker"
    VISION = "vision"


class ModelBackend(models.TextChoices):
    OPENAI = "openai"


class ModelLocation(models.TextChoices):
    """Place where a model runs: within the organisation, or where someone else reads what it is sent."""

    INSIDE = "inside"
    OUTSIDE = "outside"


class ModelStatus(models.TextChoices):
    CANDIDATE = "candidate"
    ACTIVE = "active"
    RETIRED = "retired"


class RegisteredModel(models.Model):
    """A model that the organisation has registered, with its server, licence and state.

    `model`: the name under which the server at `base_url` serves it. `api_key` is encrypted, "" without one.
    `licence`: a key of `cairn.settings.stored.licences.LICENCES`. `price_in` and `price_out`: per million
    tokens, in the organisation's currency. `base`: the model that an adapter belongs to. `measured`: what a
    test of the connection found at `measured_at`, null after a change of the server. `shadow_percent`: the
    share of questions that it answers in shadow runs while it is a candidate. Of each type, one model inside
    and one outside can be active; `web.configuration.registered_models` changes the rows. `version` counts
    the changes, so that of two admins who save at once the later one is refused.
    """

    name = models.CharField(max_length=60, unique=True)
    type = models.CharField(max_length=10, choices=ModelType.choices, default=ModelType.CHAT)
    backend = models.CharField(max_length=10, choices=ModelBackend.choices, default=ModelBackend.OPENAI)
    base_url = models.CharField(max_length=500)
    model = models.CharField(max_length=200)
    api_key = models.TextField(blank=True, default="")
    location = models.CharField(max_length=7, choices=ModelLocation.choices, default=ModelLocation.INSIDE)
    licence = models.CharField(max_length=40)
    licence_ends = models.DateField(null=True, blank=True)
    price_in = models.DecimalField(max_digits=12, decimal_places=4, null=True, blank=True)
    price_out = models.DecimalField(max_digits=12, decimal_places=4, null=True, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    base = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="adapters")
    status = models.CharField(max_length=9, choices=ModelStatus.choices, default=ModelStatus.CANDIDATE)
    shadow_percent = models.PositiveSmallIntegerField(default=0)
    measured = models.JSONField(default=dict, blank=True)
    measured_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["type", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["type", "location"],
                condition=models.Q(status=ModelStatus.ACTIVE),
                name="one_active_model_per_type_and_location",
            )
        ]

    def __str__(self) -> str:
        return self.name
