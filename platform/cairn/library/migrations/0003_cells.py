from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("library", "0002_imports")]

    operations = [migrations.AddField("chunk", "cells", models.JSONField(default=list))]
