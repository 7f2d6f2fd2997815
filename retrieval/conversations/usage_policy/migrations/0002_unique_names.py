import unicodedata
from collections.abc import Iterator
from itertools import count

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

MAX_NAME = 120


def number_duplicates(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Number rules whose names differ in case at most; the oldest keeps its name."""
    rules = apps.get_model("usage_policy", "UsageRule").objects.using(schema_editor.connection.alias)
    rows = list(rules.order_by("created_at", "id"))
    taken = {_fold_name(row.name) for row in rows}
    seen = set[str]()
    for row in rows:
        if _fold_name(row.name) in seen:
            row.name = next(name for name in _numbered(row.name) if _fold_name(name) not in taken)
        row.folded_name = _fold_name(row.name)
        seen.add(row.folded_name)
        taken.add(row.folded_name)
    rules.bulk_update(rows, ["name", "folded_name"])


def _fold_name(name: str) -> str:
    """Fold as the model did when this migration was written, since the model may change."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _numbered(name: str) -> Iterator[str]:
    for number in count(2):
        suffix = f" ({number})"
        yield name[: MAX_NAME - len(suffix)].rstrip() + suffix


class Migration(migrations.Migration):
    dependencies = [("usage_policy", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="usagerule",
            name="folded_name",
            field=models.TextField(default="", editable=False),
            preserve_default=False,
        ),
        migrations.RunPython(number_duplicates, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="usagerule",
            name="folded_name",
            field=models.TextField(editable=False, unique=True),
        ),
    ]
