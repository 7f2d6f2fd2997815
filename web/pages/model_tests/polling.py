"""Fragments by which pages follow a test of models while it runs."""

from django.http import HttpResponse


def reload_at_end(response: HttpResponse, *, running: bool) -> HttpResponse:
    """Let the page reload itself once nothing runs, since what is outside the fragment changes, too."""
    if not running:
        response["HX-Refresh"] = "true"
    return response
