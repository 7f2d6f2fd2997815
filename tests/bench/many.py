"""Much to look at: `python -m tests.bench.many DOCUMENTS MESSAGES` in a DATA_DIR that has run.

Writes the paths of what it made as JSON. Documents have no file and no passages: lists do not look at them.
"""

import json
import sys
from typing import Final
from uuid import UUID, uuid4

import django

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

    documents, messages = int(sys.argv[1]), int(sys.argv[2])
    admin = User.objects.get(username="admin")
    base = knowledge_base_create(name="Archive", principal=principal_for_user(admin))
    _documents(base.id, documents)
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


if __name__ == "__main__":
    main()
