"""Where Cairn differs from allauth: nobody signs up, and nothing leads away from here."""

from http import HTTPStatus
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

SILENT = "account/messages/"


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def is_safe_url(self, url: str | None) -> bool:
        """This very host: others of ALLOWED_HOSTS may be other programs."""
        return url_has_allowed_host_and_scheme(
            url, allowed_hosts={self.request.get_host()}, require_https=self.request.is_secure()
        )

    def respond_user_inactive(self, request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:  # noqa: ARG002
        return refused(request, "This account is disabled. An administrator can open it again.")

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """Not that somebody signed in or out: the page says so itself."""
        if not (message_template or "").startswith(SILENT):
            super().add_message(request, level, message_template, *args, **kwargs)


def refused(request: HttpRequest, reason: str) -> HttpResponse:
    """A page that says why somebody is not let in."""
    return render(request, "pages/refused.html", {"reason": reason}, status=HTTPStatus.FORBIDDEN)
