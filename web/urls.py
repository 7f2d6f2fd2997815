"""Routes: pages at the root, the REST API below api/, SCIM below scim/v2/."""

from django.urls import URLPattern, URLResolver, include, path

from web.api.framework.metrics import metrics
from web.api.health import healthz, readyz
from web.protocols.source_webhooks import receive

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("api/", include("web.api.urls")),
    path("v1/", include("web.protocols.openai.urls")),
    path("", include("web.protocols.dify.urls")),
    path("", include("web.protocols.mcp.urls")),
    path("scim/v2/", include("web.protocols.scim.urls")),
    path("hooks/sources/<str:source_id>", receive, name="source-webhook"),
    path("", include("web.pages.account.identity_urls")),
    path("", include("web.pages.urls")),
]

handler400 = "web.api.framework.problems.bad_request"
handler404 = "web.api.framework.problems.not_found"
handler429 = "web.pages.account.sign_in.render_throttled"
handler500 = "web.api.framework.problems.server_error"
