import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("retrieval", "0007_conversation_pinned")]
    operations = [
        migrations.AddField("message", "alive_at", models.DateTimeField(default=django.utils.timezone.now)),
        migrations.AddField("message", "followed_at", models.DateTimeField(null=True)),
    ]
