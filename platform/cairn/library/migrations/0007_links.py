from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("library", "0006_official")]

    operations = [migrations.AddField("chunk", "links", models.JSONField(null=True))]
