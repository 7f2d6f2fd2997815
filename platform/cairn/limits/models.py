"""Limits, today's usage and open streams."""

from django.db import models
from django.db.models import Q

from cairn.accounts.models import ApiKey, Group, User


class Limit(models.Model):
    """Limits of a user, of the members of a group or of a key; without any of them, of everyone.

    `values` maps measures to a number, or null for no limit. A measure that is missing is inherited.
    """

    user = models.OneToOneField(User, null=True, on_delete=models.CASCADE, related_name="limit")
    group = models.OneToOneField(Group, null=True, on_delete=models.CASCADE, related_name="limit")
    key = models.OneToOneField(ApiKey, null=True, on_delete=models.CASCADE, related_name="limit")
    values = models.JSONField(default=dict)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(user=None, group=None) | Q(user=None, key=None) | Q(group=None, key=None),
                name="limit_has_one_subject",
            ),
            models.UniqueConstraint(
                models.Value(1), condition=Q(user=None, group=None, key=None), name="one_limit_for_everyone"
            ),
        ]

    def __str__(self) -> str:
        return self.subject

    @property
    def subject(self) -> str:
        named = {"user": self.user_id, "group": self.group_id, "key": self.key_id}
        return next((f"{kind}:{value}" for kind, value in named.items() if value), "everyone")


class Usage(models.Model):
    """Use by a user or key (`owner`) on one day, and in the minute counted last.

    One row for all kinds, so that counting is one statement. `minute` counts minutes since 1970.
    """

    owner = models.UUIDField()
    day = models.DateField()
    questions = models.PositiveBigIntegerField(default=0)
    searches = models.PositiveBigIntegerField(default=0)
    tokens = models.PositiveBigIntegerField(default=0)
    uploads = models.PositiveBigIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    minute = models.PositiveBigIntegerField(default=0)
    minute_questions = models.PositiveBigIntegerField(default=0)
    minute_searches = models.PositiveBigIntegerField(default=0)
    minute_uploads = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "owner"], name="one_usage_a_day")]

    def __str__(self) -> str:
        return f"{self.owner} on {self.day}"


class Slot(models.Model):
    """An open stream of the owner. One left by a dead process counts until `until`. `kind` is the
    measure that limits how many there are."""

    owner = models.UUIDField()
    kind = models.CharField(max_length=20)
    number = models.PositiveIntegerField()
    holder = models.UUIDField()
    until = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "kind", "number"], name="one_holder_of_a_slot")
        ]

    def __str__(self) -> str:
        return f"{self.owner} {self.number}"
