from django.db import migrations, models


class Migration(migrations.Migration):
    """Drops the table of Django's `DatabaseCache`, which holds pickles. What it counted expires within minutes."""

    initial = True

    dependencies = [
        ('accounts', '0005_sessions'),
    ]

    operations = [
        migrations.CreateModel(
            name='Entry',
            fields=[
                ('key', models.CharField(max_length=255, primary_key=True, serialize=False)),
                ('value', models.TextField()),
                ('expires_at', models.DateTimeField(db_index=True, null=True)),
            ],
        ),
        migrations.RunSQL("DROP TABLE IF EXISTS cairn_cache", migrations.RunSQL.noop),
    ]
