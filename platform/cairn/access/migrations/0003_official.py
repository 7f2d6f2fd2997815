from uuid import UUID

from django.db import migrations


def mark_official(apps, schema_editor):
    """Existing knowledge bases: reserve their slugs, name an owner, and accept those an admin created.

    The audit log says who created a knowledge base, and whether that person was an admin then; they may have
    left since. Where the log does not say who it was, the first manager counts, and if there is none either,
    nobody but a command or an admin can have created it.
    """
    KnowledgeBase = apps.get_model("library", "KnowledgeBase")
    ReservedSlug = apps.get_model("library", "ReservedSlug")
    creators = _find_creators(apps)
    admins = _find_admins(apps)
    users = set(apps.get_model("accounts", "User").objects.values_list("pk", flat=True))
    bases = list(KnowledgeBase.objects.only("id", "slug"))
    for base in bases:
        creator = creators.get(base.id)
        base.owner_id = creator if creator in users else None
        base.official = creator is None or creator in admins
    KnowledgeBase.objects.bulk_update(bases, ["owner", "official"], batch_size=500)
    ReservedSlug.objects.bulk_create(
        [ReservedSlug(slug=base.slug) for base in bases], ignore_conflicts=True, batch_size=500
    )


def _find_creators(apps):
    """User ids by knowledge base id; a creator that the audit log names comes before the first manager."""
    Event = apps.get_model("audit", "Event")
    Grant = apps.get_model("access", "Grant")
    managers = Grant.objects.filter(role="manager", user__isnull=False).order_by("-id")
    creators = dict(managers.values_list("knowledge_base", "user"))  # the first manager comes last
    created = Event.objects.filter(action="knowledge_base.created").exclude(actor=None)
    for subject, actor in created.values_list("subject", "actor").iterator():
        creators[_id(subject)] = actor
    return creators


def _find_admins(apps):
    """Ids of everybody who is or was an admin; people whose account is gone are known from the audit log."""
    Event = apps.get_model("audit", "Event")
    User = apps.get_model("accounts", "User")
    admins = set(User.objects.filter(is_admin=True).values_list("pk", flat=True))
    events = Event.objects.filter(action__in=["user.created", "user.changed"])
    for subject, detail in events.values_list("subject", "detail").iterator():
        if detail.get("is_admin"):
            admins.add(_id(subject))
    return admins


def _id(subject):
    """The id in "kb:ID" or "user:ID"; None if there is none."""
    try:
        return UUID(subject.partition(":")[2])
    except ValueError:
        return None


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0002_checks"),
        ("accounts", "0007_group_permissions"),
        ("audit", "0002_chain"),
        ("library", "0006_official"),
    ]

    operations = [migrations.RunPython(mark_official, migrations.RunPython.noop)]
