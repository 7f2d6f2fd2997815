"""Documents planted for a red team run, and their removal by recorded id only.

They are files of a conversation of an account that exists for the run alone. Nobody else may read such files,
admins included, and they're in no list.
"""

import logging
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction

from cairn.access.principals import principal_for_background_work
from cairn.access.scope import Principal, Scope
from cairn.access.selectors import scope_for, scope_of_files, scope_with_files
from cairn.accounts.models import User
from cairn.accounts.services import user_create
from cairn.db_connections import connections_release
from cairn.errors import CairnError, Unavailable
from cairn.messages import CodedMessage
from ingestion.documents.conversation_files import open_base
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from ingestion.erasure.users import user_erase
from ingestion.models import Job
from retrieval.conversations.services import conversation_create, conversation_prolong
from retrieval.evaluation.models import RedTeamRun
from retrieval.evaluation.red_team.attack_file import Attack
from retrieval.models import Conversation

log = logging.getLogger(__name__)

READY_SECONDS: Final = 600
LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class PlantedDocuments:
    """Documents of each attack by its id. Only the scope of the run's account contains them."""

    conversation: Conversation
    scope: Scope
    documents: Mapping[str, tuple[UUID, ...]]

    def prolong(self) -> None:
        """Let the conversation outlast a long run."""
        conversation_prolong(conversation=self.conversation)


@contextmanager
def plant_documents(run: RedTeamRun, attacks: Sequence[Attack]) -> Iterator[PlantedDocuments]:
    """Plant the documents of the attacks, wait until they can be found, and remove them afterwards. Raises
    Unavailable if they aren't read in time."""
    try:
        principal = principal_for_background_work(_create_account(run))
        conversation = conversation_create(principal=principal, temporary=True)
        documents = {attack.id: _upload(attack, conversation, principal) for attack in attacks}
        _wait_until_ready([each for ids in documents.values() for each in ids])
        scope = scope_of_files(scope_with_files(scope_for(principal, ()), conversation.pk))
        yield PlantedDocuments(conversation, scope, documents)
    finally:
        remove_planted(run)


def _create_account(run: RedTeamRun) -> User:
    """Create an account that can't sign in, and record its id in the same transaction."""
    with transaction.atomic():
        user = user_create(username=f"red-team-{secrets.token_hex(8)}", is_active=False)
        User.objects.filter(pk=user.pk).update(hidden=True)
        _record_account(run, user)
    return user


def _record_account(run: RedTeamRun, user: User) -> None:
    run.account = user.pk
    run.save(update_fields=["account"])


def _upload(attack: Attack, conversation: Conversation, principal: Principal) -> tuple[UUID, ...]:
    base = open_base(conversation, principal)
    found = list[UUID]()
    for document in attack.documents:
        name = f"{attack.id}-{document.name}"
        upload = Upload(SimpleUploadedFile(name, document.text.encode()), name, always_new=True)
        found.append(document_submit(upload, knowledge_base=base, principal=principal).document.pk)
    return tuple(found)


def _wait_until_ready(documents: Sequence[UUID]) -> None:
    give_up = time.monotonic() + READY_SECONDS
    while Job.objects.filter(version__document__in=documents).open().exists():
        if time.monotonic() > give_up:
            raise Unavailable(CodedMessage("red_team_not_ready"))
        connections_release()
        time.sleep(LOOK_SECONDS)


def remove_planted(run: RedTeamRun) -> None:
    """Remove the account of a run with everything it has. If that fails, it's tried again later."""
    if run.account is None:
        return
    try:
        with transaction.atomic():
            for user in User.objects.filter(pk=run.account):
                user_erase(user=user, actor=None)
            RedTeamRun.objects.filter(pk=run.pk).update(account=None)
    except CairnError as error:
        log.warning("cannot remove the account of red team run %s: %s", run.pk, error.message)
        return
    run.account = None
