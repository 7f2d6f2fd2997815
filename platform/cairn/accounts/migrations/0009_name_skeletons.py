from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from cairn.accounts.confusable_names import name_skeleton

BATCH = 1000


def fill_in(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Accounts whose names look alike already stay as they are. All but the oldest of them are marked."""
    users = apps.get_model("accounts", "User").objects.using(schema_editor.connection.alias)
    seen: set[str] = set()
    changed = []
    for user in users.only("id", "username").order_by("created_at", "id"):
        user.name_skeleton = name_skeleton(user.username)
        user.has_older_lookalike = user.name_skeleton in seen
        seen.add(user.name_skeleton)
        changed.append(user)
    users.bulk_update(changed, ["name_skeleton", "has_older_lookalike"], batch_size=BATCH)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0008_command_keys")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="name_skeleton",
            field=models.CharField(blank=True, db_index=True, default="", editable=False, max_length=600),
        ),
        migrations.AddField(
            model_name="user",
            name="has_older_lookalike",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.RunPython(fill_in, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(
                condition=models.Q(("has_older_lookalike", False)),
                fields=("name_skeleton",),
                name="username_looks_like_no_other",
            ),
        ),
    ]
