"""Failed sign-ins with identity providers, for the admins who look for the cause."""

from typing import Final

from django.db import transaction

from cairn.accounts.models import SignInFailure
from cairn.messages import CodedMessage

MAX_STORED: Final = 20
"""For each provider."""


def sign_in_failure_record(*, source: str, cause: CodedMessage) -> None:
    """Store why a sign-in failed, and remove what is older than the last ones of the same provider."""
    with transaction.atomic():
        SignInFailure.objects.create(source=source, cause=cause)
        stored = SignInFailure.objects.filter(source=source).values_list("pk", flat=True)
        SignInFailure.objects.filter(pk__in=list(stored[MAX_STORED:])).delete()
