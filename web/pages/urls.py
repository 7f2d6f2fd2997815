"""URLs of the pages.

A new page also needs a view (`web.pages.shell.decorators.page`), a template, a line in
tests/web/security/routes.py and, in the administration, one in `web.pages.shell.navigation`. CONTRIBUTING.md
has the whole recipe.
"""

from django.urls import path

from web.pages.account import api_keys, display_name, impersonation, language, second_factor
from web.pages.account import views as account_views
from web.pages.chat import assistants as chat_assistants
from web.pages.chat import mentions, shares
from web.pages.chat import views as chat_views
from web.pages.console import (
    access,
    access_checks,
    audit,
    components,
    erasures,
    evaluation,
    gaps,
    gold_questions,
    health,
    ingestion,
    limits,
    models,
    overview,
    playground,
    stale_documents,
)
from web.pages.console import assistants as console_assistants
from web.pages.console import views as console_views
from web.pages.library import document, imports, search
from web.pages.library import views as library_views
from web.pages.model_tests import comparisons, red_team
from web.pages.people import choices, groups, user_import, users
from web.pages.settings import identity_providers, registered_models, usage_policy
from web.pages.settings import views as settings
from web.pages.shell import branding, command_palette
from web.pages.sources import editing as source_editing
from web.pages.sources import people as source_people
from web.pages.sources import verification as source_verification
from web.pages.sources import views as sources

app_name = "pages"

urlpatterns = [
    path("", chat_views.new, name="chat"),
    path("help-loading", chat_views.help_loading, name="help-loading"),
    path("conversations", chat_views.conversations, name="conversations"),
    path("conversations/<str:conversation_id>", chat_views.conversation, name="conversation"),
    path("conversations/<str:conversation_id>/turns", chat_views.turns, name="turns"),
    path("conversations/<str:conversation_id>/sharing", shares.sharing, name="sharing"),
    path("messages/<str:message_id>/sharing", shares.answer_sharing, name="answer-sharing"),
    path("shared/<str:share_id>", shares.show_shared_conversation, name="shared"),
    path("shared/<str:share_id>/continue", shares.continue_shared_conversation, name="shared-continue"),
    path("messages/<str:message_id>/rendered", chat_views.message, name="message"),
    path("assistants", chat_assistants.index, name="assistants"),
    path("mentions", mentions.mentions, name="mentions"),
    path("palette", command_palette.palette, name="palette"),
    path("library", library_views.index, name="library"),
    path("documents", search.list_matching_documents, name="found"),
    path("documents/passages", search.inside, name="inside"),
    path("library/<slug:slug>/documents", library_views.documents, name="documents"),
    path("library/documents/<str:document_id>", document.document, name="document"),
    path("library/documents/<str:document_id>/passages", document.passages, name="passages"),
    path(
        "library/documents/<str:document_id>/passages/after/<int:after>",
        document.more_passages,
        name="more-passages",
    ),
    path("library/documents/<str:document_id>/access", access.document, name="document-access"),
    path("library/documents/<str:document_id>/people", access.readers, name="document-people"),
    path("library/imports/<str:import_id>", imports.show_import, name="import"),
    path("library/<slug:slug>", library_views.knowledge_base, name="knowledge-base"),
    path("admin", overview.index, name="console-index"),
    path("admin/knowledge-bases", console_views.knowledge_bases, name="console"),
    path("admin/knowledge-bases/<slug:slug>", console_views.knowledge_base, name="console-knowledge-base"),
    path("admin/knowledge-bases/<slug:slug>/people", access.people, name="console-people"),
    path("admin/knowledge-bases/<slug:slug>/retention", console_views.retention, name="console-retention"),
    path("admin/assistants", console_assistants.index, name="console-assistants"),
    path("admin/assistants/new", console_assistants.new, name="console-assistant-new"),
    path("admin/assistants/<str:assistant_id>", console_assistants.assistant, name="console-assistant"),
    path("admin/documents", stale_documents.index, name="console-documents"),
    path("admin/ingestion", ingestion.ingesting, name="console-ingestion"),
    path("admin/ingestion/queue", ingestion.queue, name="console-queue"),
    path("admin/ingestion/failures", ingestion.failures, name="console-failures"),
    path("admin/ingestion/imports", ingestion.imports, name="console-imports"),
    path("admin/ingestion/failed/<str:code>", ingestion.list_failed_documents, name="console-failed"),
    path("admin/sources", sources.index, name="console-sources"),
    path("admin/sources/new", source_editing.choose_kind, name="console-source-new"),
    path("admin/sources/new/<str:kind>", source_editing.new, name="console-source-new-kind"),
    path("admin/sources/new/<str:kind>/test", source_editing.test, name="console-source-test"),
    path("admin/sources/new/<str:kind>/preview", source_editing.preview, name="console-source-preview"),
    path("admin/sources/<str:source_id>", sources.source, name="console-source"),
    path("admin/sources/<str:source_id>/progress", sources.progress, name="console-source-progress"),
    path("admin/sources/<str:source_id>/people", source_people.people, name="console-source-people"),
    path(
        "admin/sources/<str:source_id>/verification",
        source_verification.verification,
        name="console-source-verification",
    ),
    path("admin/sources/<str:source_id>/edit", source_editing.edit, name="console-source-edit"),
    path("admin/evaluation", evaluation.evaluation, name="console-evaluation"),
    path("admin/evaluation/runs/<str:run_id>", evaluation.evaluation_run, name="evaluation-run"),
    path(
        "admin/evaluation/runs/<str:run_id>/compare", evaluation.evaluation_compare, name="evaluation-compare"
    ),
    path("admin/evaluation/knowledge-bases/<slug:slug>", gold_questions.questions, name="gold"),
    path("admin/evaluation/gold-questions/new", gold_questions.new, name="gold-new"),
    path("admin/evaluation/gold-questions/<str:question_id>", gold_questions.question, name="gold-question"),
    path("admin/usage-policy", usage_policy.index, name="console-usage-policy"),
    path("admin/usage-policy/new", usage_policy.new, name="console-usage-rule-new"),
    path("admin/usage-policy/<str:rule_id>", usage_policy.rule, name="console-usage-rule"),
    path("admin/gaps", gaps.index, name="console-gaps"),
    path("admin/gaps/<str:gap_id>", gaps.gap, name="gap"),
    path("messages/<str:message_id>/suggestions", chat_views.suggestions, name="message-suggestions"),
    path("messages/<str:message_id>/passing-on", gaps.passing_on, name="passing-on"),
    path("notices", gaps.notices, name="notices"),
    path("notices/read", gaps.notices_all_read, name="notices-read"),
    path("notices/<str:notice_id>/open", gaps.notice_open, name="notice-open"),
    path("admin/playground", playground.index, name="console-playground"),
    path("admin/health", health.index, name="console-health"),
    path("admin/health/attention", health.attention, name="console-health-attention"),
    path("admin/models", models.index, name="console-models"),
    path("admin/models/new", registered_models.new, name="console-model-new"),
    path("admin/models/registry/<str:name>", registered_models.model, name="console-model"),
    path("admin/models/registry/<str:name>/test", registered_models.test, name="console-model-test"),
    path("admin/models/check", models.check, name="console-models-check"),
    path("admin/models/generations", models.generations, name="console-generations"),
    path("choices/grantees", choices.grantees, name="choices-grantees"),
    path("choices/readers", choices.readers, name="choices-readers"),
    path("choices/limits", choices.limitable, name="choices-limits"),
    path("choices/users", choices.users, name="choices-users"),
    path("choices/owners", choices.owners, name="choices-owners"),
    path("choices/groups", choices.groups, name="choices-groups"),
    path("choices/knowledge-bases", choices.knowledge_bases, name="choices-knowledge-bases"),
    path("admin/users", users.users, name="console-users"),
    path("admin/users/import", user_import.user_import, name="console-user-import"),
    path("admin/users/<str:user_id>", users.user, name="console-user"),
    path("admin/users/<str:user_id>/view-as", impersonation.view_as, name="view-as"),
    path("admin/users/<str:user_id>/second-factor/reset", second_factor.reset, name="second-factor-reset"),
    path("view-as/stop", impersonation.view_as_stop, name="view-as-stop"),
    path("admin/groups", groups.groups, name="console-groups"),
    path("admin/groups/<str:group_id>", groups.group, name="console-group"),
    path("admin/access-checks", access_checks.index, name="console-access-checks"),
    path("admin/model-comparisons", comparisons.index, name="console-model-comparisons"),
    path("admin/model-comparisons/progress", comparisons.progress, name="console-model-comparisons-progress"),
    path("admin/red-team", red_team.index, name="console-red-team"),
    path("admin/red-team/progress", red_team.progress, name="console-red-team-progress"),
    path("admin/red-team/<str:red_team_run_id>", red_team.run, name="red-team-run"),
    path(
        "admin/red-team/<str:red_team_run_id>/progress", red_team.run_progress, name="red-team-run-progress"
    ),
    path("admin/erasures", erasures.index, name="console-erasures"),
    path("admin/audit", audit.index, name="console-audit"),
    path("admin/components", components.index, name="console-components"),
    path("admin/limits", limits.index, name="console-limits"),
    path("admin/settings", settings.index, name="console-settings"),
    path("admin/settings/logo", settings.logo, name="console-settings-logo"),
    path(
        "admin/settings/sign_in/providers/<str:provider>",
        identity_providers.provider,
        name="console-identity-provider",
    ),
    path(
        "admin/settings/sign_in/providers/<str:provider>/test",
        identity_providers.test,
        name="console-identity-provider-test",
    ),
    path(
        "admin/settings/sign_in/providers/<str:provider>/remove",
        identity_providers.remove,
        name="console-identity-provider-remove",
    ),
    path("admin/settings/<str:section>/test", settings.test, name="console-settings-test"),
    path("admin/settings/<str:section>", settings.section, name="console-settings-section"),
    path("branding/logo.png", branding.logo, name="brand-logo"),
    path("branding/colors.css", branding.stylesheet, name="brand-style"),
    path("admin/keys", api_keys.all_keys, name="console-keys"),
    path("admin/keys/<str:key_id>/revoke", api_keys.any_key_revoke, name="console-key-revoke"),
    path("account", account_views.account, name="account"),
    path("account/display-name", display_name.choose_own, name="account-display-name"),
    path("account/language", language.choose_own, name="account-language"),
    path("language", language.choose, name="language"),
    path("account/keys", account_views.key_create, name="key-create"),
    path("account/keys/<str:key_id>/revoke", api_keys.key_revoke, name="key-revoke"),
]
