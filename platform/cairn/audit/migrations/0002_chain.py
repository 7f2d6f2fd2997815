from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

SEALED = "a sealed audit event cannot be changed"
KEPT = "an audit event cannot be deleted"
SQLITE = (
    "CREATE TRIGGER audit_event_sealed BEFORE UPDATE ON audit_event WHEN OLD.number IS NOT NULL "
    f"BEGIN SELECT RAISE(ABORT, '{SEALED}'); END",
    "CREATE TRIGGER audit_event_kept BEFORE DELETE ON audit_event "
    f"BEGIN SELECT RAISE(ABORT, '{KEPT}'); END",
)
POSTGRESQL = (
    "CREATE FUNCTION audit_event_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION '%', TG_ARGV[0]; END $$",
    "CREATE TRIGGER audit_event_sealed BEFORE UPDATE ON audit_event FOR EACH ROW WHEN "
    f"(OLD.number IS NOT NULL) EXECUTE FUNCTION audit_event_refuse('{SEALED}')",
    "CREATE TRIGGER audit_event_kept BEFORE DELETE ON audit_event FOR EACH ROW "
    f"EXECUTE FUNCTION audit_event_refuse('{KEPT}')",
)
AWAY = {
    "sqlite": ("DROP TRIGGER IF EXISTS audit_event_sealed", "DROP TRIGGER IF EXISTS audit_event_kept"),
    "postgresql": (
        "DROP TRIGGER IF EXISTS audit_event_sealed ON audit_event",
        "DROP TRIGGER IF EXISTS audit_event_kept ON audit_event",
        "DROP FUNCTION IF EXISTS audit_event_refuse()",
    ),
}


def guards_add(_apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    for statement in SQLITE if editor.connection.vendor == "sqlite" else POSTGRESQL:
        editor.execute(statement, params=None)


def guards_drop(_apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    for statement in AWAY[editor.connection.vendor]:
        editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Head",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("count", models.PositiveBigIntegerField(default=0)),
                ("hash", models.CharField(blank=True, default="", max_length=64)),
            ],
        ),
        migrations.AddField(
            model_name="event",
            name="hash",
            field=models.CharField(blank=True, default="", editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name="event",
            name="number",
            field=models.PositiveBigIntegerField(editable=False, null=True, unique=True),
        ),
        migrations.AlterField(
            model_name="event",
            name="actor",
            field=models.UUIDField(db_index=True, null=True),
        ),
        migrations.RunPython(guards_add, guards_drop),
    ]
