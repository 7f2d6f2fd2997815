from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("retrieval", "0012_erasure_remains")]

    operations = [migrations.AddField("citation", "links", models.JSONField(null=True))]
