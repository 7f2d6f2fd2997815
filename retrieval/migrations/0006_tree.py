from itertools import groupby
from typing import Any

import django.db.models.deletion
from django.db import migrations, models

AT_ONCE = 500


def chain(apps: Any, schema_editor: Any) -> None:
    """Each message comes after the one before it, and the last one is shown."""
    Conversation, Message = (apps.get_model("retrieval", name) for name in ("Conversation", "Message"))
    rows = Message.objects.order_by("conversation_id", "created_at", "id").only("id", "conversation_id")
    chained, shown = [], []
    for conversation, messages in groupby(rows.iterator(AT_ONCE), key=lambda row: row.conversation_id):
        parent = None
        for message in messages:
            message.parent_id, parent = parent, message.id
            chained.append(message)
        shown.append(Conversation(id=conversation, current_id=parent))
    Message.objects.bulk_update(chained, ["parent"], batch_size=AT_ONCE)
    Conversation.objects.bulk_update(shown, ["current"], batch_size=AT_ONCE)


class Migration(migrations.Migration):
    dependencies = [("retrieval", "0005_channel")]
    operations = [
        migrations.AddField(
            "conversation",
            "current",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="retrieval.message",
            ),
        ),
        migrations.AddField(
            "message",
            "parent",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="children",
                to="retrieval.message",
            ),
        ),
        migrations.RunPython(chain, migrations.RunPython.noop),
    ]
