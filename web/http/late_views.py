"""Views that are imported at their first request."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string


class LateView:
    """A view by its dotted path, for a library that takes long to import and that few installations use.

    Django imports all views when it first builds an address, so including the URLs later wouldn't help.
    """

    csrf_exempt = True  # only keys sign in here, never cookies

    def __init__(self, path: str) -> None:
        self._path = path

    def load(self) -> Callable[..., HttpResponse]:
        view: Callable[..., HttpResponse] = import_string(self._path)
        return view

    def __call__(self, request: HttpRequest, **parts: str) -> HttpResponse:
        return self.load()(request, **parts)
