from typing import Any

from django.db import migrations

from retrieval.suggestions.generator import questions_of

SECTIONS = 2000


def replace(apps: Any, schema_editor: Any) -> None:  # noqa: ARG001
    """Replace the generated questions, which used to quote titles and to take nouns for verbs."""
    documents = apps.get_model("library", "Document").objects
    chunks = apps.get_model("library", "Chunk").objects
    suggestions = apps.get_model("suggestions", "Suggestion").objects
    ready = documents.filter(deleted_at=None).exclude(active_version=None).select_related("active_version")
    for document in ready.iterator():
        rows = chunks.filter(version=document.active_version_id).order_by("ordinal")
        sections = rows.values_list("section", flat=True)[:SECTIONS]
        made = questions_of(document.title, sections, document.active_version.language)
        suggestions.filter(document=document).delete()
        suggestions.bulk_create(
            suggestions.model(
                document=document,
                knowledge_base_id=document.knowledge_base_id,
                question=each.question,
                plain=each.plain,
            )
            for each in {each.question: each for each in made}.values()
        )


class Migration(migrations.Migration):
    dependencies = [("suggestions", "0003_example_questions")]

    operations = [migrations.RunPython(replace, migrations.RunPython.noop)]
