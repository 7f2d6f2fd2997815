"""Routes: pages at the root, the REST API below api/, SCIM below scim/v2/."""

from django.urls import URLPattern, URLResolver, include, path

from web.api.health import healthz, readyz
from web.api.metrics import metrics

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("api/", include("web.api.urls")),
    path("v1/", include("web.openai.urls")),
    path("", include("web.dify.urls")),
    path("", include("web.mcp.urls")),
    path("scim/v2/", include("web.scim.urls")),
    path("", include("web.pages.identity_urls")),
    path("", include("web.pages.urls")),
]

handler400 = "web.api.problems.bad_request"
handler404 = "web.api.problems.not_found"
handler429 = "web.pages.session.throttled"
handler500 = "web.api.problems.server_error"
