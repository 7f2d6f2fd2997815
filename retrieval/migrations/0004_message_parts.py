from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("retrieval", "0003_generations")]

    operations = [migrations.AddField("message", "parts", models.JSONField(default=list))]
