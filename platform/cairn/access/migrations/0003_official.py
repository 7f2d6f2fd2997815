from django.db import migrations


def mark_official(apps, schema_editor):
    """Existing knowledge bases: reserve their slugs, name an owner, and accept those an admin created.

    The audit log says who created a knowledge base. Where it does not, the first manager counts.
    """
    KnowledgeBase = apps.get_model("library", "KnowledgeBase")
    ReservedSlug = apps.get_model("library", "ReservedSlug")
    Event = apps.get_model("audit", "Event")
    Grant = apps.get_model("access", "Grant")
    User = apps.get_model("accounts", "User")
    creators = dict(
        Event.objects.filter(action="knowledge_base.created").order_by("at").values_list("subject", "actor")
    )
    for base in KnowledgeBase.objects.iterator():
        ReservedSlug.objects.get_or_create(slug=base.slug)
        creator = creators.get(f"kb:{base.id}")
        if creator is None:
            manager = Grant.objects.filter(knowledge_base=base, role="manager", user__isnull=False).order_by("id").first()
            creator = manager.user_id if manager else None
        owner = User.objects.filter(pk=creator).first() if creator else None
        base.owner = owner
        base.official = owner is None or owner.is_admin
        base.save(update_fields=["owner", "official"])


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0002_checks"),
        ("accounts", "0007_group_permissions"),
        ("audit", "0002_chain"),
        ("library", "0006_official"),
    ]

    operations = [migrations.RunPython(mark_official, migrations.RunPython.noop)]
