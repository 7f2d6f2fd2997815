"""Cairn's own help is there in several languages, of which an answer uses one."""

from collections.abc import Container
from uuid import UUID

from django.db.models import Exists, OuterRef

from cairn.access.scope import Scope
from cairn.access.selectors import scope_without
from cairn.accounts.models import User
from cairn.library.models import Document, KnowledgeBase
from retrieval.answering.text.lexicon import recognised_language


def language_of_question(question: str, scope: Scope) -> str:
    """Return the language of the question or, for keywords, the one that the asker chose for pages.

    The result is empty if neither is known.
    """
    chosen = User.objects.filter(pk=scope.principal.user).values_list("language", flat=True)
    return recognised_language(question) or chosen.first() or ""


def without_other_help(scope: Scope, language: str) -> Scope:
    """Return the scope without help that it has in `language`, too."""
    others = find_other_help(scope.readable, language)
    return scope_without(scope, others) if others else scope


def find_other_help(bases: Container[UUID], language: str) -> frozenset[UUID]:
    """Return the knowledge bases of the help among `bases` whose counterpart in `language` is among them.

    A counterpart counts once it has a document that is ready.
    """
    if not language:
        return frozenset()
    documents = Document.objects.filter(knowledge_base=OuterRef("pk"), deleted_at=None).ready()
    found = KnowledgeBase.objects.present().help().annotate(answers=Exists(documents))
    rows = found.values_list("id", "help_for", "help_language", "answers")
    among = [row for row in rows if row[0] in bases]
    covered = {audience for _, audience, each, answers in among if each == language and answers}
    return frozenset(
        base for base, audience, each, _ in among if each not in {language, ""} and audience in covered
    )
