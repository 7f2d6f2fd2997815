from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("library", "0008_help_audience")]

    operations = [migrations.AddField("chunk", "code", models.JSONField(null=True))]
