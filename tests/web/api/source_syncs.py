"""Syncs of a connected source, and what people can open afterwards."""

from django.utils import timezone

from ingestion.models import SourceItem, SourceSchedule, SourceTask
from ingestion.sources.sync.run import run_source_task
from tests.web.api.conftest import Caller


def sync_source() -> None:
    """Sync the only source: its content, people and access."""
    for task in (SourceTask.CONTENT, SourceTask.PEOPLE, SourceTask.ACCESS):
        schedule = SourceSchedule.objects.get(task=task)
        SourceSchedule.objects.filter(pk=schedule.pk).update(requested_at=timezone.now(), not_before=None)
        assert run_source_task(schedule.pk)


def find_readable(caller: Caller) -> set[str]:
    """Return the ids in the source of the documents that somebody can open."""
    return {
        item.external_id
        for item in SourceItem.objects.all()
        if caller.get(f"/documents/{item.document_id}").status_code == 200
    }
