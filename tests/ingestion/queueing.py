"""Jobs that wait, without files."""

import uuid
from collections.abc import Sequence

from cairn.accounts.models import User
from cairn.library.models import Document, DocumentVersion, KnowledgeBase
from ingestion.jobs.fair_queue import next_ticket
from ingestion.models import Job, Lane


def queued(
    base: KnowledgeBase, user: User | None, *, lane: Lane = Lane.BULK, count: int = 1
) -> Sequence[Job]:
    """Queue jobs as if the user had uploaded that many files in turn."""
    first = next_ticket(lane, user.id if user else None)
    documents, versions, jobs = [], [], []
    for number in range(count):
        document = Document(knowledge_base=base, source_key=str(uuid.uuid4()), title="t")
        version = DocumentVersion(document=document, number=1, filename="a.md", size=1)
        documents.append(document)
        versions.append(version)
        jobs.append(Job(version=version, user=user, lane=lane, turn=first + number))
    Document.objects.bulk_create(documents)
    DocumentVersion.objects.bulk_create(versions)
    for document, version in zip(documents, versions, strict=True):
        document.latest_version = version
    Document.objects.bulk_update(documents, ["latest_version"], batch_size=500)
    return Job.objects.bulk_create(jobs)
