"""Files attached to a conversation, which only its owner may read, and what a question asks of them."""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Final
from uuid import UUID

from django.db.models import Q

from cairn.access.permissions import documents_for
from cairn.access.scope import Principal, Scope
from cairn.access.selectors import documents_in, scope_of_files, scope_with_files
from cairn.errors import Conflict
from cairn.library.models import MAX_NESTING_DEPTH, Document, DocumentQuerySet, VersionState
from cairn.messages import CodedMessage
from retrieval.answering.query.intents import recognise_intent
from retrieval.answering.text.refusals import reply_language
from retrieval.index.protocol import Filters
from retrieval.models import Conversation

_FILES: Final = re.compile(
    r"\b(?:this|these|my|both)\s+(?:\w+\s+)?(?:files?|attachments?|uploads?)\b"
    r"|\b(?:the|all)\s+(?:files?|attachments?)\b"
    r"|\b(?:this|these)\s+(?:\w+\s+)?(?:documents?|pdfs?|spreadsheets?|presentations?|e-?mails?|images?|scans?|"
    r"contracts?|letters?|invoices?|reports?|pages?|papers?)\b"
    r"|\b(?:the|this|these|my|both|all)\s+(?:attached|uploaded)\b"
    r"|\bi(?:['’]ve|\s+have)?\s+(?:just\s+)?(?:attached|uploaded)\b"
    r"|\b(?:dies\w*|mein\w*|beide\w*)\s+(?:\w+\s+)?(?:datei(?:en)?|anh[aä]ng\w*)\b"
    r"|\b(?:der|die|den|dem|des|im|alle\w*)\s+(?:datei(?:en)?|anh[aä]ng\w*)\b"
    r"|\bdies\w*\s+(?:\w+\s+)?(?:dokument\w*|pdfs?|tabellen?|präsentation\w*|e-?mails?|bild\w*|scans?|"
    r"vertrag\w*|verträge\w*|briefe?\w*|rechnung\w*|bericht\w*|seiten?)\b"
    r"|\b(?:der|die|das|den|dem|des|dies\w*|mein\w*)\s+(?:angehängte|beigefügte|hochgeladene)\w*"
    r"|\bich\b[^.?!]{0,60}\b(?:angehängt|hochgeladen)\b",
    re.IGNORECASE,
)
"""Phrases that can only mean the files of the conversation."""
_MIN_STEM_CHARACTERS: Final = 6
_THIS_FILE: Final = {"en": "this file", "de": "dieser Datei"}


def conversation_documents(
    conversation: Conversation, principal: Principal, *, embedded: bool = False
) -> DocumentQuerySet:
    """Return the files of the conversation in the order in which they were attached. `embedded`: also what
    lies in them, such as the members of an archive."""
    rows = documents_for(principal, attached=True).filter(knowledge_base__conversation=conversation.pk)
    return (rows if embedded else rows.filter(parent=None)).with_versions()


_UNFINISHED: Final = Q(latest_version__state__in=(VersionState.QUEUED, VersionState.PROCESSING))


def filename_of(document: Document) -> str:
    """Return the name of the file as it was sent; the title comes from its content."""
    version = document.latest_version
    return version.filename if version else document.title


def find_unfinished(files: Collection[Document]) -> set[UUID]:
    """Return those of the files that are being processed, or in which a file is."""
    rows = Document.objects.present().filter(_UNFINISHED)
    found = {document.pk for document in files if rows.filter(pk=document.pk).exists()}
    for document in files:
        if any(
            inside.filter(_UNFINISHED).exists() for inside in Document.objects.present().levels_in(document)
        ):
            found.add(document.pk)
    return found


def require_files_ready(conversation: Conversation, principal: Principal) -> None:
    """Raise Conflict while a file is being processed: the answer would be without it."""
    waiting = conversation_documents(conversation, principal, embedded=True).filter(_UNFINISHED).first()
    if waiting is not None:
        raise Conflict(CodedMessage("file_not_ready", name=filename_of(waiting)), code="file_not_ready")


def include_files(
    question: str, conversation: Conversation | None, scope: Scope, filters: Filters
) -> tuple[Scope, Filters]:
    """Return scope and filters with the files of the conversation: these alone if the question is about
    them. Raises Conflict if one isn't ready."""
    if conversation is None:
        return scope, filters
    require_files_ready(conversation, scope.principal)
    widened = scope_with_files(scope, conversation.pk)
    if not widened.attached:
        return scope, filters
    files = list(conversation_documents(conversation, scope.principal, embedded=True).ready())
    if not files:
        return scope, filters
    ids = tuple(document.pk for document in files)
    named = find_named_files(question, files)
    if named or _is_about_files(question, conversation):
        only = tuple(named) or (ids if len(ids) == 1 else None)
        return scope_of_files(widened), Filters(document_ids=only)
    if filters.document_ids is not None:
        filters = replace(filters, document_ids=(*filters.document_ids, *ids))
    return widened, filters


def _is_about_files(question: str, conversation: Conversation) -> bool:
    """Return whether the question is about the files, whichever: as it says, or as nothing else can be meant
    by "summarise it" at the beginning."""
    if _FILES.search(question):
        return True
    request = recognise_intent(question)
    return request.refers_back and not request.topic and not conversation.messages.exists()


def find_named_files(question: str, files: Sequence[Document]) -> list[UUID]:
    """Return the files that the question names, with what lies in them: by file name, or by a stem that is no
    common word."""
    text = question.casefold()
    named = {document.pk for document in files if _is_named(text, filename_of(document).casefold())}
    for _ in range(MAX_NESTING_DEPTH):
        named |= {document.pk for document in files if document.parent_id in named}
    return [document.pk for document in files if document.pk in named]


def replace_file_names(question: str, scope: Scope) -> str:
    """Return a question about files alone with "this file" for their names, which passages need not
    mention."""
    if not scope.attached or scope.attached != scope.readable:
        return question
    names = documents_in(scope).values_list("latest_version__filename", flat=True)
    words = _THIS_FILE.get(reply_language(question), _THIS_FILE["en"])
    for name in sorted(filter(None, names), key=len, reverse=True):
        question = re.sub(
            rf"(?<!\w)[“„\"']?{re.escape(name)}[”“\"']?(?!\w)", words, question, flags=re.IGNORECASE
        )
    return question


def _is_named(text: str, name: str) -> bool:
    stem = PurePath(name).stem
    is_distinctive = len(stem) >= _MIN_STEM_CHARACTERS and not stem.isalpha()
    return any(
        re.search(rf"(?<!\w){re.escape(each)}(?!\w)", text)
        for each in ([name, stem] if is_distinctive else [name])
    )
