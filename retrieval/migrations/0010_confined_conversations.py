import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('retrieval', '0009_shares'),
    ]

    operations = [
        migrations.AddField(
            model_name='conversation',
            name='confined',
            field=models.BooleanField(default=False),
        ),
        migrations.CreateModel(
            name='ConversationBase',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('knowledge_base', models.UUIDField()),
                ('conversation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='bases', to='retrieval.conversation')),
            ],
            options={
                'constraints': [models.UniqueConstraint(models.F('conversation'), models.F('knowledge_base'), name='conversation_base_once')],
            },
        ),
    ]
