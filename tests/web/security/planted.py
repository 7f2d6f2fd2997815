"""The URLconf with three more, unguarded routes: a page, an operation, and a view."""

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path
from django.views.decorators.http import require_safe
from ninja import NinjaAPI, Router

from web.urls import urlpatterns as those_of_cairn

router = Router()


@router.get("/documents")
def all_titles(request: HttpRequest) -> list[str]:
    return ["The Umbra merger"]


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("The Umbra merger")


def anything(request: HttpRequest) -> HttpResponse:
    return HttpResponse("The Umbra merger")


api = NinjaAPI(urls_namespace="planted", docs_url=None, openapi_url=None)
api.add_router("", router)

urlpatterns: list[URLPattern | URLResolver] = [
    *(path("planted/api/documents", each.callback) for each in api.urls[0] if each.name != "api-root"),
    path("planted/page", page),
    path("planted/anything/<int:number>", anything),
    *those_of_cairn,
]
