"""Every route, and who may use it. A route that is not listed here fails the test of the matrix.

One line each: the door (`api`, `page`, `fragment`, `by_key` or `public`), method, path, guard, and for `api`
the scopes of which a key needs one. `tests.web.security.guards` says what guards mean.
"""

from collections.abc import Sequence
from typing import Any

from tests.web.security.guards import Door, Guard, Route

ANY_KEY: Sequence[str] = ()
SEES_BASES = ("search", "ask", "ingest", "manage")
SEES_STATE = ("search", "ingest", "manage")
FOLLOWS = ("ingest", "manage")
SEARCH = ("search",)
TOOLS = ("search", "ask")
ASK = ("ask",)
USES_ASSISTANTS = ("ask", "manage")
INGEST = ("ingest",)
MANAGE = ("manage",)


def api(method: str, path: str, guard: Guard, scopes: Sequence[str] = ANY_KEY, **more: Any) -> Route:
    return Route(method, f"/api/v1{path}", Door.API, guard, scopes, **more)


def page(method: str, path: str, guard: Guard, **more: Any) -> Route:
    return Route(method, path, Door.PAGE, guard, **more)


def fragment(method: str, path: str, guard: Guard, **more: Any) -> Route:
    return Route(method, path, Door.FRAGMENT, guard, **more)


def by_key(method: str, path: str, guard: Guard, scopes: Sequence[str] = ANY_KEY, **more: Any) -> Route:
    return Route(method, path, Door.KEY, guard, scopes, **more)


def scim(method: str, path: str, **more: Any) -> Route:
    return by_key(method, f"/scim/v2{path}", Guard.ADMIN, **more)


def public(method: str, path: str, **more: Any) -> Route:
    return Route(method, path, Door.PUBLIC, Guard.ANYONE, **more)


def described(path: str) -> list[Route]:
    """The description of the API and its page answer to any method."""
    return [Route(method, path, Door.API, Guard.SIGNED_IN) for method in ("GET", "POST")]


def nothing_at(path: str, door: Door) -> list[Route]:
    return [Route(method, path, door, Guard.SIGNED_IN, reads=True, lets_in=404) for method in ("GET", "POST")]


_OUTCOME = {
    "id": "a", "kind": "paraphrase", "question": "Why?", "standalone_question": "Why?", "right": True,
    "refused": False, "verdict": "supported", "answer": "So [1].", "rank": 1, "quoted": 1.0,
    "faithfulness": None, "relevancy": None, "cited": [], "documents": [], "relevant": ["a.md"],
}  # fmt: skip
_EVALUATION = {
    "knowledge_base": "{knowledge_base_id}",
    "name": "run",
    "gold": {"name": "gold", "sha256": "a" * 64},
    "measures": {},
    "outcomes": [_OUTCOME],
}
_CALIBRATION = {"bias": 0.0, "weights": {}, "threshold": 0.5}
_COMPARE = {
    "knowledge_base": "{knowledge_base_id}",
    "questions": [{"id": "a", "question": "Why?", "kind": "paraphrase", "relevant": ["a.md"]}],
}
_VERIFIED = {
    "knowledge_base": "{knowledge_base_id}",
    "title": "Why?",
    "text": "So.",
    "until": "2999-12-31",
}
_NOWHERE = "00000000-0000-4000-8000-000000000000"
_UPLOAD = {"file": "file"}
_SCIM = "urn:ietf:params:scim:schemas:core:2.0:{}"
_SCIM_PATCH = {
    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    "Operations": [{"op": "replace", "path": "externalId", "value": "1"}],
}

ROUTES: list[Route] = [
    public("GET", "/healthz"),
    public("GET", "/readyz", lets_in=503),
    by_key("GET", "/metrics", Guard.ADMIN),
    *described("/api/openapi.json"),
    *described("/api/docs"),
    *nothing_at("/api/", Door.API),
    *nothing_at("/api/{rest}", Door.API),
    # People
    api("GET", "/me", Guard.SIGNED_IN),
    api("GET", "/me/usage", Guard.SIGNED_IN),
    api("GET", "/me/export", Guard.THEMSELVES, ("admin",)),
    api("GET", "/users", Guard.ADMIN),
    api("POST", "/users", Guard.ADMIN, body={"username": "new"}),
    api("POST", "/users/batch", Guard.ADMIN, body={"action": "activate", "users": ["{user_id}"]}),
    api("GET", "/users/{user_id}", Guard.ADMIN),
    api("PATCH", "/users/{user_id}", Guard.ADMIN, body={"is_active": False}),
    api("DELETE", "/users/{user_id}", Guard.ADMIN),
    api("GET", "/users/{user_id}/export", Guard.ADMIN),
    api("POST", "/users/{user_id}/password-link", Guard.ADMIN, body={}),
    api("POST", "/users/{user_id}/password-mail", Guard.ADMIN, body={}, lets_in=409),
    api("DELETE", "/users/{user_id}/password-link", Guard.ADMIN, lets_in=404),
    api("GET", "/groups", Guard.ADMIN),
    api("POST", "/groups", Guard.ADMIN, body={"name": "new"}),
    api("GET", "/groups/{group_id}", Guard.ADMIN),
    api("PATCH", "/groups/{group_id}", Guard.ADMIN, body={"name": "renamed"}),
    api("DELETE", "/groups/{group_id}", Guard.ADMIN),
    # Knowledge bases
    api("GET", "/knowledge-bases", Guard.SIGNED_IN, SEES_BASES),
    api("POST", "/knowledge-bases", Guard.CREATOR, MANAGE, body={"name": "new"}),
    api("GET", "/knowledge-bases/{knowledge_base_id}", Guard.READER, SEES_BASES),
    api("PATCH", "/knowledge-bases/{knowledge_base_id}", Guard.MANAGER, MANAGE, body={"description": "new"}),
    api("DELETE", "/knowledge-bases/{knowledge_base_id}", Guard.MANAGER, MANAGE),
    api("GET", "/knowledge-bases/{knowledge_base_id}/example-questions", Guard.READER, SEES_BASES),
    api("PUT", "/knowledge-bases/{knowledge_base_id}/example-questions", Guard.MANAGER, MANAGE,
        body={"questions": ["Who gets leave?"]}),
    api("GET", "/knowledge-bases/{knowledge_base_id}/grants", Guard.MANAGER, MANAGE),
    api("PUT", "/knowledge-bases/{knowledge_base_id}/grants", Guard.MANAGER, MANAGE, body=[]),
    api("POST", "/knowledge-bases/{knowledge_base_id}/grants/effect", Guard.MANAGER, MANAGE,
        reads=True, body=[]),
    api("GET", "/knowledge-bases/{knowledge_base_id}/retention/effect", Guard.MANAGER, MANAGE,
        query="days=30"),
    api("GET", "/knowledge-bases/{knowledge_base_id}/people", Guard.MANAGER, MANAGE),
    api("GET", "/knowledge-bases/{knowledge_base_id}/people/{user_id}", Guard.MANAGER, MANAGE),
    # Documents
    api("GET", "/knowledge-bases/{knowledge_base_id}/documents", Guard.READER, SEES_STATE),
    api("POST", "/knowledge-bases/{knowledge_base_id}/documents", Guard.EDITOR, INGEST, form=_UPLOAD),
    api("GET", "/knowledge-bases/{knowledge_base_id}/sources", Guard.READER, SEES_STATE),
    api("GET", "/documents", Guard.SIGNED_IN, SEES_STATE),
    api("GET", "/documents/{document_id}", Guard.READER, SEES_STATE),
    api("POST", "/documents/{document_id}/review", Guard.EDITOR, MANAGE, body={}),
    api("GET", "/documents/{document_id}/owners", Guard.EDITOR, MANAGE),
    api("PATCH", "/documents/{document_id}", Guard.EDITOR, MANAGE, body={"title": "renamed"}),
    api("DELETE", "/documents/{document_id}", Guard.EDITOR, MANAGE),
    api("GET", "/documents/{document_id}/content", Guard.READER, SEARCH),
    api("GET", "/documents/{document_id}/rendition", Guard.READER, SEARCH),
    api("GET", "/documents/{document_id}/chunks", Guard.READER, SEARCH),
    api("GET", "/documents/{document_id}/pages/{page}.png", Guard.READER, SEARCH),
    api("GET", "/documents/{document_id}/people", Guard.MANAGER, MANAGE),
    api("GET", "/documents/{document_id}/people/{user_id}", Guard.MANAGER, MANAGE),
    api("POST", "/documents/{document_id}/readers/effect", Guard.MANAGER, MANAGE,
        reads=True, body={"readers": None}),
    api("GET", "/receipts", Guard.SIGNED_IN, MANAGE),
    api("GET", "/receipts/{receipt_id}", Guard.REQUESTER, MANAGE),
    # Work
    api("GET", "/knowledge-bases/{knowledge_base_id}/imports", Guard.READER, FOLLOWS),
    api("POST", "/knowledge-bases/{knowledge_base_id}/imports", Guard.EDITOR, INGEST, body={"label": "new"}),
    api("GET", "/imports/{import_id}", Guard.EDITOR_OR_404, FOLLOWS),
    api("GET", "/imports/{import_id}/items", Guard.EDITOR_OR_404, FOLLOWS),
    api("GET", "/imports/{import_id}/events", Guard.EDITOR_OR_404, FOLLOWS),
    api("POST", "/imports/{import_id}/items", Guard.EDITOR_OR_404, INGEST, form=_UPLOAD),
    api("POST", "/imports/{import_id}/close", Guard.EDITOR_OR_404, INGEST, body={}),
    api("POST", "/imports/{import_id}/cancel", Guard.EDITOR_OR_404, INGEST),
    api("GET", "/uploads", Guard.SIGNED_IN, INGEST),
    api("POST", "/uploads", Guard.EDITOR, INGEST,
        body={"knowledge_base": "{knowledge_base_id}", "filename": "a.md", "size": 4}),
    api("GET", "/uploads/{upload_id}", Guard.OWNER, INGEST),
    api("PATCH", "/uploads/{upload_id}", Guard.OWNER, INGEST, body=1, query="offset=0"),
    api("DELETE", "/uploads/{upload_id}", Guard.OWNER, INGEST),
    api("POST", "/uploads/{upload_id}/complete", Guard.OWNER, INGEST, lets_in=409),
    api("GET", "/knowledge-bases/{knowledge_base_id}/watches", Guard.ADMIN),
    api("POST", "/knowledge-bases/{knowledge_base_id}/watches", Guard.ADMIN,
        body={"path": "/nowhere"}, lets_in=422),
    api("PATCH", "/watches/{watch_id}", Guard.ADMIN, body={"enabled": False}),
    api("DELETE", "/watches/{watch_id}", Guard.ADMIN),
    api("POST", "/watches/{watch_id}/scan", Guard.ADMIN),
    api("GET", "/jobs", Guard.SIGNED_IN, FOLLOWS),
    api("POST", "/jobs/retry", Guard.SIGNED_IN, INGEST, body={"jobs": ["{job_id}"]}),
    api("GET", "/jobs/events", Guard.SIGNED_IN, FOLLOWS),
    api("GET", "/jobs/{job_id}", Guard.READER, FOLLOWS),
    api("GET", "/jobs/{job_id}/events", Guard.READER, FOLLOWS),
    api("POST", "/jobs/{job_id}/retry", Guard.EDITOR, INGEST, lets_in=409),
    api("POST", "/jobs/{job_id}/cancel", Guard.EDITOR, INGEST),
    # The install
    api("GET", "/access-checks", Guard.ADMIN),
    api("POST", "/access-checks", Guard.ADMIN, body={}),
    api("GET", "/access-checks/{check_id}", Guard.ADMIN),
    api("GET", "/health", Guard.ADMIN),
    api("GET", "/limits", Guard.ADMIN),
    api("PUT", "/limits", Guard.ADMIN, body={"subject": "everyone", "limits": {}}),
    api("GET", "/settings", Guard.ADMIN),
    api("PATCH", "/settings", Guard.ADMIN, body={"branding": {"version": 0, "values": {"name": "Acme"}}}),
    api("POST", "/settings/logo", Guard.ADMIN, form=_UPLOAD, lets_in=422),
    api("DELETE", "/settings/logo", Guard.ADMIN, lets_in=404),
    api("GET", "/audit", Guard.ADMIN),
    api("GET", "/audit/export", Guard.ADMIN),
    api("GET", "/index", Guard.ADMIN),
    api("POST", "/index/generations", Guard.ADMIN, body={}),
    api("DELETE", "/index/generations/{generation_id}", Guard.ADMIN),
    api("POST", "/index/vectors", Guard.ADMIN, reads=True, lets_in=404,
        body={"generation": _NOWHERE, "chunks": [_NOWHERE]}),
    api("POST", "/index/compare", Guard.ADMIN, body=_COMPARE, lets_in=409),
    api("GET", "/index/calibration", Guard.ADMIN),
    api("PUT", "/index/calibration", Guard.ADMIN, body=_CALIBRATION),
    api("DELETE", "/index/calibration", Guard.ADMIN),
    api("GET", "/answer-profile", Guard.ADMIN),
    api("PUT", "/answer-profile", Guard.ADMIN, body={"profile": {}}),
    api("DELETE", "/answer-profile", Guard.ADMIN),
    api("POST", "/index/swap", Guard.ADMIN, body={}, lets_in=409),
    api("POST", "/index/rollback", Guard.ADMIN, body={}, lets_in=409),
    # Questions
    api("POST", "/search", Guard.SIGNED_IN, SEARCH, reads=True, body={"query": "leave"}),
    api("POST", "/ask", Guard.SIGNED_IN, ASK, body={"question": "Why?", "model": "nobody's"}, lets_in=422),
    api("GET", "/assistants", Guard.SIGNED_IN, USES_ASSISTANTS),
    api("POST", "/assistants", Guard.MANAGES_SOMETHING, MANAGE,
        body={"name": "new", "knowledge_bases": ["{knowledge_base_id}"]}),
    api("GET", "/assistants/{assistant_id}", Guard.READER, USES_ASSISTANTS),
    api("PATCH", "/assistants/{assistant_id}", Guard.MANAGER, MANAGE, body={"name": "renamed"}),
    api("DELETE", "/assistants/{assistant_id}", Guard.MANAGER, MANAGE),
    api("GET", "/conversation-folders", Guard.SIGNED_IN, ASK),
    api("POST", "/conversation-folders", Guard.UNLIMITED, ASK, body={"name": "new"}),
    api("PATCH", "/conversation-folders/{folder_id}", Guard.OWNER, ASK, body={"name": "renamed"}),
    api("DELETE", "/conversation-folders/{folder_id}", Guard.OWNER, ASK),
    api("GET", "/conversations", Guard.SIGNED_IN, ASK),
    api("POST", "/conversations", Guard.SIGNED_IN, ASK, body={}),
    api("GET", "/conversations/{conversation_id}", Guard.OWNER, ASK),
    api("PATCH", "/conversations/{conversation_id}", Guard.OWNER, ASK, body={"title": "renamed"}),
    api("DELETE", "/conversations/{conversation_id}", Guard.OWNER, ASK),
    api("GET", "/messages/{message_id}", Guard.OWNER, ASK),
    api("POST", "/conversations/{deleted_id}/restore", Guard.OWNER, ASK),
    api("GET", "/conversations/{conversation_id}/export", Guard.OWNER, ASK),
    api("GET", "/conversations/{conversation_id}/share", Guard.OWNER, ASK),
    api("PUT", "/conversations/{conversation_id}/share", Guard.OWNER, ASK, body={"subjects": ["everyone"]}),
    api("DELETE", "/conversations/{conversation_id}/share", Guard.OWNER, ASK),
    api("GET", "/shared/{share_id}", Guard.OWNER, ASK),
    api("POST", "/shared/{share_id}/continue", Guard.OWNER, ASK),
    api("GET", "/share-subjects", Guard.SIGNED_IN, ASK, query="q=re"),
    api("POST", "/messages/{message_id}/feedback", Guard.OWNER, ASK, body={"rating": "up"}),
    api("DELETE", "/messages/{message_id}/feedback", Guard.OWNER, ASK),
    api("GET", "/messages/{message_id}/events", Guard.OWNER, ASK),
    api("GET", "/messages/{message_id}/suggestions", Guard.OWNER, ASK),
    api("GET", "/messages/{message_id}/export", Guard.OWNER, ASK),
    api("GET", "/messages/{message_id}/share", Guard.OWNER, ASK),
    api("PUT", "/messages/{message_id}/share", Guard.OWNER, ASK, body={"subjects": ["everyone"]}),
    api("DELETE", "/messages/{message_id}/share", Guard.OWNER, ASK),
    api("GET", "/messages/{message_id}/markdown", Guard.OWNER, ASK),
    api("POST", "/messages/{message_id}/stop", Guard.OWNER, ASK),
    # Evaluation
    api("GET", "/evaluations", Guard.SIGNED_IN, MANAGE),
    api("POST", "/evaluations", Guard.MANAGER, MANAGE, body=_EVALUATION),
    api("GET", "/evaluations/{evaluation_id}", Guard.MANAGER_OR_404, MANAGE),
    api("DELETE", "/evaluations/{evaluation_id}", Guard.MANAGER_OR_404, MANAGE),
    api("GET", "/knowledge-bases/{knowledge_base_id}/gold-questions", Guard.MANAGER, MANAGE),
    api("POST", "/knowledge-bases/{knowledge_base_id}/gold-questions", Guard.MANAGER, MANAGE,
        body={"question": "Why?", "kind": "unanswerable"}),
    api("GET", "/knowledge-bases/{knowledge_base_id}/gold-questions.jsonl", Guard.MANAGER, MANAGE),
    api("GET", "/gold-questions/{gold_question_id}", Guard.MANAGER_OR_404, MANAGE),
    api("PATCH", "/gold-questions/{gold_question_id}", Guard.MANAGER_OR_404, MANAGE, body={"history": []}),
    api("DELETE", "/gold-questions/{gold_question_id}", Guard.MANAGER_OR_404, MANAGE),
    # Knowledge gaps
    api("GET", "/gaps", Guard.SIGNED_IN, MANAGE),
    api("GET", "/gaps/{gap_id}", Guard.MANAGER_OR_404, MANAGE),
    api("PATCH", "/gaps/{gap_id}", Guard.MANAGER_OR_404, MANAGE, body={"note": "Ask the cook."}),
    api("POST", "/gaps/{gap_id}/dismiss", Guard.MANAGER_OR_404, MANAGE, body={"reason": "No."}),
    api("POST", "/gaps/{gap_id}/reopen", Guard.MANAGER_OR_404, MANAGE),
    api("POST", "/gaps/{gap_id}/decline", Guard.MANAGER_OR_404, MANAGE),
    api("POST", "/gaps/{gap_id}/merge", Guard.MANAGER_OR_404, MANAGE, body={"into": "{other_gap_id}"}),
    api("POST", "/gaps/{gap_id}/questions/{asked_id}/split", Guard.MANAGER_OR_404, MANAGE, lets_in=409),
    api("POST", "/gaps/{gap_id}/document", Guard.MANAGER_OR_404, MANAGE,
        body={"document": "{document_id}"}),
    api("PUT", "/gaps/{gap_id}/answer", Guard.MANAGER_OR_404, MANAGE, body=_VERIFIED),
    api("POST", "/gaps/{gap_id}/renew", Guard.MANAGER_OR_404, MANAGE,
        body={"until": "2999-12-31"}, lets_in=409),
    api("PUT", "/messages/{message_id}/passing-on", Guard.OWNER, ASK, body={"passed_on": True}),
    api("GET", "/notices", Guard.SIGNED_IN, ASK),
    api("POST", "/notices/read", Guard.SIGNED_IN, ASK),
    api("POST", "/notices/{notice_id}/read", Guard.OWNER, ASK),
    # Directories
    scim("GET", "/ServiceProviderConfig"),
    scim("GET", "/ResourceTypes"),
    scim("GET", "/Schemas"),
    scim("GET", "/Users"),
    scim("GET", "/Groups"),
    scim("GET", "/ResourceTypes/{resource_type}"),
    scim("GET", "/Schemas/{schema}"),
    scim("POST", "/Users", body={"schemas": [_SCIM.format("User")], "userName": "new"}),
    scim("GET", "/Users/{user_id}"),
    scim("PUT", "/Users/{user_id}", body={"schemas": [_SCIM.format("User")], "userName": "renamed"}),
    scim("PATCH", "/Users/{user_id}", body=_SCIM_PATCH),
    scim("DELETE", "/Users/{user_id}"),
    scim("POST", "/Groups", body={"schemas": [_SCIM.format("Group")], "displayName": "new"}),
    scim("GET", "/Groups/{team_id}"),
    scim("PUT", "/Groups/{team_id}", body={"schemas": [_SCIM.format("Group")], "displayName": "renamed"}),
    scim("PATCH", "/Groups/{team_id}", body=_SCIM_PATCH),
    scim("DELETE", "/Groups/{team_id}"),
    *(scim(method, "/{rest}", lets_in=404) for method in ("GET", "POST", "PUT", "PATCH", "DELETE")),
    # As OpenAI's
    by_key("GET", "/v1/models", Guard.SIGNED_IN, ASK),
    by_key("GET", "/v1/models/{model}", Guard.READER, ASK),
    by_key("POST", "/v1/chat/completions", Guard.SIGNED_IN, ASK,
        body={"model": "cairn", "messages": []}, lets_in=400),
    *nothing_at("/v1/{rest}", Door.KEY),
    # For Dify
    by_key("POST", "/retrieval", Guard.READER, SEARCH, reads=True,
        body={"knowledge_id": "{knowledge_base_id}", "query": "leave"}),
    # For assistants
    by_key("POST", "/mcp", Guard.SIGNED_IN, TOOLS, reads=True, body={}, lets_in=406),
    # Pages
    public("GET", "/login"),
    public("POST", "/login"),
    public("POST", "/language"),
    public("GET", "/login/code"),
    public("POST", "/login/code"),
    public("GET", "/login/passkey"),
    public("POST", "/login/passkey"),
    public("POST", "/logout"),
    public("GET", "/forgot-password", lets_in=404),
    public("POST", "/forgot-password", lets_in=404),
    public("POST", "/set-password/check", lets_in=404),
    public("GET", "/set-password"),
    public("POST", "/set-password", lets_in=422),
    # Of providers that are not configured
    public("GET", "/oidc/{provider_id}/login", lets_in=404),
    public("GET", "/oidc/{provider_id}/callback", lets_in=404),
    public("GET", "/saml/{organization_slug}/login", lets_in=404),
    public("POST", "/saml/{organization_slug}/acs", lets_in=404),
    public("GET", "/saml/{organization_slug}/acs/finish", lets_in=404),
    public("GET", "/saml/{organization_slug}/logout", lets_in=404),
    public("GET", "/saml/{organization_slug}/metadata", lets_in=404),
    page("GET", "/", Guard.SIGNED_IN),
    fragment("GET", "/conversations", Guard.SIGNED_IN),
    page("GET", "/conversations/{conversation_id}", Guard.OWNER),
    fragment("GET", "/conversations/{conversation_id}/turns", Guard.OWNER),
    fragment("GET", "/conversations/{conversation_id}/sharing", Guard.OWNER),
    fragment("GET", "/messages/{message_id}/sharing", Guard.OWNER),
    page("GET", "/shared/{share_id}", Guard.OWNER),
    page("POST", "/shared/{share_id}/continue", Guard.OWNER),
    fragment("GET", "/messages/{message_id}/rendered", Guard.OWNER),
    fragment("GET", "/messages/{message_id}/suggestions", Guard.OWNER),
    fragment("POST", "/messages/{message_id}/passing-on", Guard.OWNER, form={"said": "yes"}),
    page("GET", "/notices", Guard.SIGNED_IN),
    page("POST", "/notices/read", Guard.SIGNED_IN, form={}),
    page("POST", "/notices/{notice_id}/open", Guard.OWNER, form={}),
    page("GET", "/assistants", Guard.SIGNED_IN),
    fragment("GET", "/mentions", Guard.SIGNED_IN, query="q=umbra"),
    fragment("GET", "/palette", Guard.SIGNED_IN, query="q=umbra"),
    page("GET", "/library", Guard.SIGNED_IN),
    fragment("GET", "/documents", Guard.SIGNED_IN),
    fragment("GET", "/documents/passages", Guard.SIGNED_IN),
    page("GET", "/library/{slug}", Guard.READER),
    fragment("GET", "/library/{slug}/documents", Guard.READER),
    page("GET", "/library/documents/{document_id}", Guard.READER),
    page("GET", "/library/documents/{document_id}/passages", Guard.READER),
    fragment("GET", "/library/documents/{document_id}/passages/after/{after}", Guard.READER),
    page("GET", "/library/documents/{document_id}/access", Guard.MANAGER),
    fragment("GET", "/library/documents/{document_id}/people", Guard.MANAGER),
    page("GET", "/library/imports/{import_id}", Guard.EDITOR_OR_404),
    page("GET", "/account", Guard.THEMSELVES),
    page("POST", "/account", Guard.THEMSELVES, form={}, lets_in=422),
    *(
        page(method, f"/account/confirm{way}", Guard.THEMSELVES, form={} if method == "POST" else None)
        for way in ("", "/code", "/passkey") for method in ("GET", "POST")
    ),
    page("GET", "/account/second-factor", Guard.THEMSELVES),
    page("GET", "/account/second-factor/app", Guard.THEMSELVES),
    page("POST", "/account/second-factor/app", Guard.THEMSELVES, form={}),
    page("GET", "/account/second-factor/app/remove", Guard.THEMSELVES, lets_in=404),
    page("POST", "/account/second-factor/app/remove", Guard.THEMSELVES, form={}, lets_in=404),
    page("GET", "/account/second-factor/codes", Guard.THEMSELVES, lets_in=404),
    page("GET", "/account/second-factor/codes/new", Guard.THEMSELVES),
    page("POST", "/account/second-factor/codes/new", Guard.THEMSELVES, form={}),
    page("GET", "/account/second-factor/passkeys/new", Guard.THEMSELVES),
    page("POST", "/account/second-factor/passkeys/new", Guard.THEMSELVES, form={}),
    page("GET", "/account/second-factor/passkeys/{pk}/remove", Guard.THEMSELVES),
    page("POST", "/account/second-factor/passkeys/{pk}/remove", Guard.THEMSELVES, form={}),
    page("POST", "/account/display-name", Guard.THEMSELVES),
    page("POST", "/account/language", Guard.THEMSELVES),
    page("POST", "/account/keys", Guard.THEMSELVES, form={}, lets_in=422),
    page("POST", "/account/keys/{key_id}/revoke", Guard.OWNER),
    # Administration
    page("GET", "/admin", Guard.MANAGES_SOMETHING),
    page("GET", "/admin/knowledge-bases", Guard.MANAGES_OR_CREATES),
    page("GET", "/admin/knowledge-bases/{slug}", Guard.MANAGER),
    fragment("GET", "/admin/knowledge-bases/{slug}/people", Guard.MANAGER),
    page("GET", "/admin/assistants", Guard.MANAGES_SOMETHING),
    page("GET", "/admin/assistants/new", Guard.MANAGES_SOMETHING),
    page("GET", "/admin/assistants/{assistant_id}", Guard.MANAGER),
    page("GET", "/admin/documents", Guard.MANAGES_SOMETHING),
    page("GET", "/admin/ingestion", Guard.EDITS_SOMETHING),
    fragment("GET", "/admin/ingestion/queue", Guard.SIGNED_IN),
    fragment("GET", "/admin/ingestion/failures", Guard.SIGNED_IN),
    fragment("GET", "/admin/ingestion/imports", Guard.SIGNED_IN),
    fragment("GET", "/admin/ingestion/failed/{code}", Guard.SIGNED_IN),
    page("GET", "/admin/evaluation", Guard.MANAGES_SOMETHING),
    page("GET", "/admin/evaluation/runs/{run_id}", Guard.MANAGER_OR_404),
    page("GET", "/admin/evaluation/runs/{run_id}/compare", Guard.MANAGER_OR_404, query="with={run_id}"),
    page("GET", "/admin/evaluation/knowledge-bases/{slug}", Guard.MANAGER),
    page("GET", "/admin/evaluation/gold-questions/new", Guard.MANAGES_SOMETHING),
    page("GET", "/admin/evaluation/gold-questions/{question_id}", Guard.MANAGER_OR_404),
    page("GET", "/admin/gaps", Guard.EDITS_SOMETHING),
    page("GET", "/admin/gaps/{gap_id}", Guard.MANAGER_OR_404),
    page("GET", "/admin/playground", Guard.MANAGES_SOMETHING),
    page("POST", "/admin/playground", Guard.MANAGES_SOMETHING, form={"question": "leave"}),
    page("GET", "/admin/health", Guard.ADMIN),
    fragment("GET", "/admin/health/attention", Guard.ADMIN),
    page("GET", "/admin/models", Guard.ADMIN),
    page("POST", "/admin/models/check", Guard.ADMIN, form={"model": "nothing"}, lets_in=404),
    fragment("GET", "/admin/models/generations", Guard.ADMIN),
    page("GET", "/admin/users", Guard.ADMIN),
    page("GET", "/admin/users/import", Guard.ADMIN),
    page("POST", "/admin/users/import", Guard.ADMIN, lets_in=422),
    page("GET", "/admin/users/{user_id}", Guard.ADMIN),
    page("POST", "/admin/users/{user_id}/view-as", Guard.ADMIN),
    page("POST", "/admin/users/{user_id}/second-factor/reset", Guard.ADMIN),
    page("POST", "/view-as/stop", Guard.SIGNED_IN, reads=True),
    page("GET", "/admin/groups", Guard.ADMIN),
    page("GET", "/admin/groups/{group_id}", Guard.ADMIN),
    fragment("GET", "/choices/grantees", Guard.MANAGES_SOMETHING),
    fragment("GET", "/choices/readers", Guard.MANAGES_SOMETHING),
    fragment("GET", "/choices/limits", Guard.ADMIN),
    fragment("GET", "/choices/users", Guard.ADMIN),
    fragment("GET", "/choices/owners", Guard.ADMIN),
    fragment("GET", "/choices/groups", Guard.ADMIN),
    fragment("GET", "/choices/knowledge-bases", Guard.SIGNED_IN),
    page("GET", "/admin/access-checks", Guard.ADMIN),
    fragment("GET", "/admin/knowledge-bases/{slug}/retention", Guard.MANAGER),
    page("GET", "/admin/erasures", Guard.ADMIN),
    page("GET", "/admin/audit", Guard.ADMIN),
    page("GET", "/admin/components", Guard.ADMIN),
    page("GET", "/admin/limits", Guard.ADMIN),
    page("POST", "/admin/limits", Guard.ADMIN, form={"subject": "everyone"}),
    page("GET", "/admin/settings", Guard.ADMIN),
    page("GET", "/admin/settings/{section}", Guard.ADMIN),
    page("POST", "/admin/settings/{section}", Guard.ADMIN, form={"version": "9"}, lets_in=409),
    fragment("POST", "/admin/settings/{section}/test", Guard.ADMIN, lets_in=404),
    page("POST", "/admin/settings/logo", Guard.ADMIN, form={"logo": ""}, lets_in=422),
    public("GET", "/branding/logo.png", lets_in=404),
    public("GET", "/branding/colors.css"),
    page("GET", "/admin/keys", Guard.ADMIN),
    page("POST", "/admin/keys/{key_id}/revoke", Guard.ADMIN),
]  # fmt: skip
