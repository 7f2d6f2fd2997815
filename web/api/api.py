"""The REST API and its routers."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse

from cairn.errors import CairnError, NotSignedIn
from web.api import access, assistants, example_questions, knowledge_bases, me
from web.api.administration import (
    ab_tests,
    access_checks,
    answer_profile,
    audit,
    groups,
    health,
    index_generations,
    limits,
    models,
    settings,
    usage_rules,
    users,
)
from web.api.conversations import (
    ask,
    conversation_export,
    conversations,
    files,
    folders,
    search,
    shares,
    suggestions,
)
from web.api.framework.openapi import DescribedAPI
from web.api.framework.problems import add_error_handlers, problem_response
from web.api.framework.request_parser import StrictParser
from web.api.library import documents, imports, jobs, library, resumable_uploads, sources, watch_folders
from web.api.quality import evaluations, gaps, gold_questions, model_comparisons, notices, red_team_runs
from web.http.authentication import needs

DESCRIPTION = """Answers from an organisation's own documents, every sentence traceable to its source.

Send `Authorization: Bearer <key>`, or use the browser's session. Errors are problem documents (RFC 9457)
with a stable `code`. Lists take `limit` and `cursor`. Ids are opaque strings."""


def _require_sign_in(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Require a key or a session for the API description."""

    @wraps(view)
    def authenticate_and_call(request: HttpRequest, **parts: Any) -> HttpResponse:
        try:
            if not any(check(request) for check in needs()):
                raise NotSignedIn
        except CairnError as error:
            return problem_response(error)
        return view(request, **parts)

    return authenticate_and_call


api = DescribedAPI(
    title="Cairn",
    version="1",
    description=DESCRIPTION,
    urls_namespace="api",
    auth=needs(),
    parser=StrictParser(),
    docs_decorator=_require_sign_in,
)
add_error_handlers(api, problem_response)

api.add_router("v1/me", me.router)
api.add_router("v1/me", limits.mine)
api.add_router("v1/limits", limits.router)
api.add_router("v1/users", users.router)
api.add_router("v1/groups", groups.router)
api.add_router("v1/knowledge-bases", knowledge_bases.router)
api.add_router("v1/knowledge-bases", example_questions.in_knowledge_base)
api.add_router("v1/knowledge-bases", documents.in_knowledge_base)
api.add_router("v1/documents", library.router)
api.add_router("v1/documents", documents.router)
api.add_router("v1/knowledge-bases", access.in_knowledge_base)
api.add_router("v1/documents", access.of_document)
api.add_router("v1/receipts", documents.receipts)
api.add_router("v1/knowledge-bases", imports.in_knowledge_base)
api.add_router("v1/imports", imports.router)
api.add_router("v1/uploads", resumable_uploads.router)
api.add_router("v1/knowledge-bases", watch_folders.in_knowledge_base)
api.add_router("v1/watches", watch_folders.router)
api.add_router("v1/sources", sources.router)
api.add_router("v1/jobs", jobs.router)
api.add_router("v1/health", health.router)
api.add_router("v1/access-checks", access_checks.router)
api.add_router("v1/red-team-runs", red_team_runs.router)
api.add_router("v1/model-comparisons", model_comparisons.router)
api.add_router("v1/usage-rules", usage_rules.router)
api.add_router("v1/audit", audit.router)
api.add_router("v1/index", index_generations.router)
api.add_router("v1/settings", settings.router)
api.add_router("v1/models", models.router)
api.add_router("v1/models", ab_tests.router)
api.add_router("v1/answer-profile", answer_profile.router)
api.add_router("v1/search", search.router)
api.add_router("v1/ask", ask.router)
api.add_router("v1/assistants", assistants.router)
api.add_router("v1/conversations", conversations.router)
api.add_router("v1/conversations", files.router)
api.add_router("v1/conversation-folders", folders.router)
api.add_router("v1/conversations", conversation_export.router)
api.add_router("v1/conversations", shares.of_conversation)
api.add_router("v1/shared", shares.router)
api.add_router("v1/share-subjects", shares.subjects)
api.add_router("v1/messages", conversations.messages)
api.add_router("v1/messages", conversation_export.messages)
api.add_router("v1/messages", shares.of_message)
api.add_router("v1/messages", suggestions.of_message)
api.add_router("v1/messages", gaps.of_message)
api.add_router("v1/gaps", gaps.router)
api.add_router("v1/notices", notices.router)
api.add_router("v1/evaluations", evaluations.router)
api.add_router("v1/knowledge-bases", gold_questions.in_knowledge_base)
api.add_router("v1/gold-questions", gold_questions.router)
