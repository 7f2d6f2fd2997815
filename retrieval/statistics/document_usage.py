"""Old documents, and unused ones."""

from datetime import UTC, date, datetime, time

from django.db.models import Q

from cairn.library.models import DocumentQuerySet


def not_updated_since(documents: DocumentQuerySet, day: date) -> DocumentQuerySet:
    """Filter documents whose active version is older than the day (UTC)."""
    return documents.filter(active_version__created_at__lt=datetime.combine(day, time.min, UTC))


def unread_since(documents: DocumentQuerySet, day: date) -> DocumentQuerySet:
    """Searchable since before that day, and from then on neither cited nor opened."""
    cited, opened = Q(use__cited_on__gte=day), Q(use__opened_on__gte=day)
    return not_updated_since(documents, day).exclude(cited | opened)
