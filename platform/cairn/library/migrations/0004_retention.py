from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("library", "0003_cells")]

    operations = [
        migrations.AddField(
            model_name="knowledgebase",
            name="retention_days",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
    ]
