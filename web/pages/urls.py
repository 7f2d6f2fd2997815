"""Addresses of the pages."""

from django.urls import path

from web.pages import (
    access,
    access_checks,
    account,
    audit,
    chat,
    console,
    evaluation,
    gold,
    imports,
    ingesting,
    keys,
    library,
    limits,
    reading,
    viewing,
)

app_name = "pages"

urlpatterns = [
    path("", chat.new, name="chat"),
    path("conversations", chat.conversations, name="conversations"),
    path("conversations/<str:conversation_id>", chat.conversation, name="conversation"),
    path("messages/<str:message_id>/rendered", chat.message, name="message"),
    path("library", library.index, name="library"),
    path("library/<slug:slug>/documents", library.documents, name="documents"),
    path("library/documents/<str:document_id>", reading.document, name="document"),
    path("library/documents/<str:document_id>/passages", reading.passages, name="passages"),
    path(
        "library/documents/<str:document_id>/passages/after/<int:after>",
        reading.more_passages,
        name="more-passages",
    ),
    path("library/documents/<str:document_id>/access", access.document, name="document-access"),
    path("library/documents/<str:document_id>/people", access.readers, name="document-people"),
    path("library/imports/<str:import_id>", imports.show_import, name="import"),
    path("library/<slug:slug>", library.knowledge_base, name="knowledge-base"),
    path("admin", console.index, name="console-index"),
    path("admin/knowledge-bases", console.knowledge_bases, name="console"),
    path("admin/knowledge-bases/<slug:slug>", console.knowledge_base, name="console-knowledge-base"),
    path("admin/knowledge-bases/<slug:slug>/people", access.people, name="console-people"),
    path("admin/knowledge-bases/<slug:slug>/retention", console.retention, name="console-retention"),
    path("admin/ingestion", ingesting.ingesting, name="console-ingestion"),
    path("admin/ingestion/queue", ingesting.queue, name="console-queue"),
    path("admin/ingestion/failures", ingesting.failures, name="console-failures"),
    path("admin/ingestion/imports", ingesting.imports, name="console-imports"),
    path("admin/ingestion/failed/<str:code>", ingesting.failed, name="console-failed"),
    path("admin/evaluation", evaluation.evaluation, name="console-evaluation"),
    path("admin/evaluation/runs/<str:run_id>", evaluation.evaluation_run, name="evaluation-run"),
    path(
        "admin/evaluation/runs/<str:run_id>/compare", evaluation.evaluation_compare, name="evaluation-compare"
    ),
    path("admin/evaluation/knowledge-bases/<slug:slug>", gold.questions, name="gold"),
    path("admin/evaluation/gold-questions/new", gold.new, name="gold-new"),
    path("admin/evaluation/gold-questions/<str:question_id>", gold.question, name="gold-question"),
    path("admin/users", console.users, name="console-users"),
    path("admin/users/<str:user_id>/view-as", viewing.view_as, name="view-as"),
    path("view-as/stop", viewing.view_as_stop, name="view-as-stop"),
    path("admin/groups", console.groups, name="console-groups"),
    path("admin/access-checks", access_checks.index, name="console-access-checks"),
    path("admin/audit", audit.index, name="console-audit"),
    path("admin/limits", limits.index, name="console-limits"),
    path("admin/keys", keys.all_keys, name="console-keys"),
    path("admin/keys/<str:key_id>/revoke", keys.any_key_revoke, name="console-key-revoke"),
    path("account", account.account, name="account"),
    path("account/keys", account.key_create, name="key-create"),
    path("account/keys/<str:key_id>/revoke", keys.key_revoke, name="key-revoke"),
]
