from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('limits', '0001_initial'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='slot',
            name='one_holder_of_a_slot',
        ),
        migrations.AddField(
            model_name='slot',
            name='kind',
            field=models.CharField(default='streams_at_once', max_length=20),
            preserve_default=False,
        ),
        migrations.AddConstraint(
            model_name='slot',
            constraint=models.UniqueConstraint(fields=('owner', 'kind', 'number'), name='one_holder_of_a_slot'),
        ),
    ]
