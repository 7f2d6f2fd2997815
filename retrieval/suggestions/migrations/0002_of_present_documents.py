from typing import Any

from django.db import migrations

from retrieval.suggestions.generator import questions_of

SECTIONS = 2000


def make(apps: Any, schema_editor: Any) -> None:  # noqa: ARG001
    """For documents that were ready before there were suggestions."""
    documents = apps.get_model("library", "Document").objects
    chunks = apps.get_model("library", "Chunk").objects
    suggestions = apps.get_model("suggestions", "Suggestion").objects
    ready = documents.filter(deleted_at=None).exclude(active_version=None).select_related("active_version")
    for document in ready.iterator():
        rows = chunks.filter(version=document.active_version_id).order_by("ordinal")
        sections = rows.values_list("section", flat=True)[:SECTIONS]
        for each in questions_of(document.title, sections, document.active_version.language):
            suggestions.get_or_create(
                document=document,
                question=each.question,
                defaults={"knowledge_base_id": document.knowledge_base_id, "plain": each.plain},
            )


class Migration(migrations.Migration):
    dependencies = [("suggestions", "0001_initial"), ("library", "0005_review")]

    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
