"""The options of a partial upload under their name in Python. The column keeps its name."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0008_receipt_waits")]

    operations = [
        migrations.AlterField(
            model_name="partialupload",
            name="said",
            field=models.JSONField(db_column="said", default=dict),
        ),
        migrations.RenameField(model_name="partialupload", old_name="said", new_name="options"),
    ]
