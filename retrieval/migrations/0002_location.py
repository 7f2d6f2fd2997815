from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("retrieval", "0001_initial")]

    operations = [migrations.AddField("citation", "location", models.TextField(blank=True, default=""))]
