from typing import Any

from django.db import migrations, models

RUNNING = models.Q(state="running")


def end_other_runs(apps: Any, schema_editor: Any) -> None:
    """Leave only the latest run of each kind in progress."""
    for name in ("RedTeamRun", "ModelComparison"):
        rows = apps.get_model("evaluation", name).objects.filter(RUNNING).order_by("-created_at", "-id")
        older = list(rows.values_list("pk", flat=True)[1:])
        rows.filter(pk__in=older).update(state="failed")


class Migration(migrations.Migration):
    dependencies = [("evaluation", "0004_model_comparisons")]

    operations = [
        migrations.RunPython(end_other_runs, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="redteamrun",
            constraint=models.UniqueConstraint(
                condition=RUNNING, fields=("state",), name="one_running_red_team_run"
            ),
        ),
        migrations.AddConstraint(
            model_name="modelcomparison",
            constraint=models.UniqueConstraint(
                condition=RUNNING, fields=("state",), name="one_running_model_comparison"
            ),
        ),
    ]
