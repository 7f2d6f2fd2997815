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
