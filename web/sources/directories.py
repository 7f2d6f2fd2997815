"""Directories in which the people of a source may be found, too."""

from cairn.accounts.models import Identity


def list_directories() -> list[str]:
    """Return the directories that accounts come from."""
    return sorted(Identity.objects.order_by().values_list("source", flat=True).distinct())
