"""Much to look at: `python -m tests.bench.many DOCUMENTS MESSAGES QUESTIONS` in a DATA_DIR that has run.

Writes the paths of what it made as JSON. Documents have no file and no passages: lists do not look at them.
MESSAGES are of one conversation, QUESTIONS of many people over the last three months.
"""

import json
import sys
import time
from random import Random
from typing import Final
from uuid import UUID, uuid4

import django

PER_BATCH: Final = 1_000
ANSWER: Final = """Up to **ten days** may be carried over into the next year.

- They are lost at the end of March.
- An illness may keep them.
"""


def main() -> None:
    django.setup()
    from django.conf import settings
    from django.test import Client

    from cairn.access.principals import principal_for_user
    from cairn.access.services import knowledge_base_create
    from cairn.accounts.models import User

    documents, messages, questions = map(int, sys.argv[1:])
    admin = User.objects.get(username="admin")
    base = knowledge_base_create(name="Archive", principal=principal_for_user(admin))
    _documents(base.id, documents)
    _questions(base.id, admin.id, questions)
    client = Client()
    client.force_login(admin, "django.contrib.auth.backends.ModelBackend")
    json.dump(
        {
            "library": f"/library/{base.slug}",
            "conversation": f"/conversations/{_conversation(admin.id, messages)}",
            "cookie": settings.SESSION_COOKIE_NAME,
            "session": client.session.session_key,
        },
        sys.stdout,
    )


def _documents(base: UUID, count: int) -> None:
    from cairn.library.models import Document, DocumentVersion, VersionState

    for start in range(0, count, 500):
        rows = [
            Document(knowledge_base_id=base, source_key=f"archive/{n}", title=f"Minutes of meeting {n}")
            for n in range(start, min(start + 500, count))
        ]
        Document.objects.bulk_create(rows)
        versions = [
            DocumentVersion(document=row, number=1, filename="minutes.md", size=2_000, chunk_count=4,
                            state=VersionState.READY, media_type="text/markdown")
            for row in rows
        ]  # fmt: skip
        DocumentVersion.objects.bulk_create(versions)
        for row, version in zip(rows, versions, strict=True):
            row.active_version = row.latest_version = version
        Document.objects.bulk_update(rows, ["active_version", "latest_version"])


def _conversation(user: UUID, count: int) -> UUID:
    from retrieval.models import Conversation, Message

    conversation = Conversation.objects.create(user_id=user, title="A long talk about leave")
    ids = [uuid4() for _ in range(count)]
    rows = [
        Message(id=own, conversation=conversation, parent_id=above, question=f"How many days, question {n}?",
                answer=ANSWER, state="done", verdict="supported", mode="generated")
        for n, (own, above) in enumerate(zip(ids, [None, *ids], strict=False))
    ]  # fmt: skip
    Message.objects.bulk_create(rows)
    conversation.current_id = ids[-1]
    conversation.save(update_fields=["current"])
    return conversation.id


def _questions(base: UUID, owner: UUID, count: int) -> None:
    from retrieval.models import Conversation, Message
    from retrieval.statistics.models import AskedBase, AskedQuestion

    random, now = Random(1), int(time.time())
    people = [uuid4() for _ in range(200)]
    thread = Conversation.objects.create(user_id=owner, title="Everybody", channel="api")
    for _ in range(0, count, PER_BATCH):
        asked = {"conversation": thread, "question": "How?", "state": "done"}
        messages = [Message(id=uuid4(), **asked) for _ in range(PER_BATCH)]
        figures = [
            AskedQuestion(
                message=message, second=now - random.randrange(90 * 86_400), user=random.choice(people),
                verdict=random.choices(("supported", "partial", "refused", ""), (70, 15, 12, 3))[0],
                rating=random.choices(("", "up", "down"), (85, 11, 4))[0], model="a-model",
                prompt_tokens=1_500, completion_tokens=90, first_token_ms=random.randrange(200, 3_000),
                total_ms=random.randrange(1_000, 9_000),
            )
            for message in messages
        ]  # fmt: skip
        Message.objects.bulk_create(messages)
        AskedQuestion.objects.bulk_create(figures)
        AskedBase.objects.bulk_create(
            AskedBase(question=each, knowledge_base_id=base, second=each.second) for each in figures
        )


if __name__ == "__main__":
    main()
