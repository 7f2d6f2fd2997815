from itertools import groupby
from operator import itemgetter
from uuid import UUID

from django.db import migrations

AT_ONCE = 500
MOST_NAMED = 100


def confine(apps, schema_editor):
    """From what answers recorded about the knowledge bases that were searched for them.

    A conversation with a question of which that is not known stays out of reach of limited keys.
    """
    Conversation = apps.get_model("retrieval", "Conversation")
    ConversationBase = apps.get_model("retrieval", "ConversationBase")
    Message = apps.get_model("retrieval", "Message")
    rows = Message.objects.order_by("conversation").values_list("conversation", "trace").iterator(AT_ONCE)
    confined, found = [], []
    for conversation, messages in groupby(rows, key=itemgetter(0)):
        searched = [searched_bases(trace) for _, trace in messages]
        if all(searched):
            confined.append(conversation)
            bases = {base for each in searched for base in each}
            found += [ConversationBase(conversation_id=conversation, knowledge_base=base) for base in bases]
        if len(found) >= AT_ONCE:
            save(Conversation, ConversationBase, confined, found)
            confined, found = [], []
    save(Conversation, ConversationBase, confined, found)


def searched_bases(trace):
    bases = [UUID(base) for base in trace.get("knowledge_bases", [])]
    return [] if trace.get("whole", True) and len(bases) > MOST_NAMED else bases


def save(Conversation, ConversationBase, confined, found):
    ConversationBase.objects.bulk_create(found, batch_size=AT_ONCE)
    for start in range(0, len(confined), AT_ONCE):
        Conversation.objects.filter(pk__in=confined[start : start + AT_ONCE]).update(confined=True)


class Migration(migrations.Migration):
    dependencies = [
        ("retrieval", "0010_confined_conversations"),
    ]

    operations = [
        migrations.RunPython(confine, migrations.RunPython.noop),
    ]
