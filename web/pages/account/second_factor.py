"""Second factors: use at sign-in, setup, and reset of lost ones."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from allauth.account.stages import LoginStageController
from allauth.account.views import ReauthenticateView
from allauth.mfa.base.views import AuthenticateView, IndexView
from allauth.mfa.base.views import ReauthenticateView as CodeReauthenticateView
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView, ViewRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.mfa.webauthn.views import (
    AddWebAuthnView,
    LoginWebAuthnView,
    ReauthenticateWebAuthnView,
    RemoveWebAuthnView,
)
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.accounts.models import User
from web.http.authentication import VIEWED
from web.identity.second_factor import must_have_second_factor, second_factor_missing, second_factor_reset
from web.identity.second_step import SecondStepStage, is_outdated
from web.pages.account.sign_in import is_throttled, with_retry_after
from web.pages.shell.decorators import page

Opened = Callable[..., HttpResponse]


def _account_page(view: Opened) -> Opened:
    """Decorate account pages, also for users who have to set up a second factor first."""

    @never_cache
    @sensitive_post_parameters()
    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not isinstance(request.user, User):
            return redirect_to_login(request.get_full_path())
        if request.user.is_admin and VIEWED in request.session:
            raise PermissionDenied(gettext("Stop viewing as someone else to see your own account."))
        return view(request, *args, **kwargs)

    return wrapper


class FactorsView(IndexView):
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        user = self.request.user
        return {
            **super().get_context_data(**kwargs),
            "required": must_have_second_factor(user),
            "missing": second_factor_missing(self.request, user),
        }


class SecondStepView(AuthenticateView):
    """Second step of the sign-in: a code or a passkey."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        stage = LoginStageController.enter(request, SecondStepStage.key)
        if stage and is_outdated(stage):
            return cast("HttpResponse", stage.abort())
        return cast("HttpResponse", super().dispatch(request, *args, **kwargs))

    def form_invalid(self, form: Form) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)
        waits = is_throttled(form, "code") or is_throttled(form, "credential")
        return with_retry_after(response) if waits else response


class PasskeyRemoveView(RemoveWebAuthnView):
    success_url = reverse_lazy("mfa_index")


_form = require_http_methods(["GET", "HEAD", "POST"])
second_step = sensitive_post_parameters()(_form(SecondStepView.as_view()))
passkey_sign_in = _form(LoginWebAuthnView.as_view())
index = require_safe(_account_page(FactorsView.as_view()))
app_add = _form(_account_page(ActivateTOTPView.as_view()))
app_remove = _form(_account_page(DeactivateTOTPView.as_view()))
codes = require_safe(_account_page(ViewRecoveryCodesView.as_view()))
codes_renew = _form(_account_page(GenerateRecoveryCodesView.as_view()))
passkey_add = _form(_account_page(AddWebAuthnView.as_view()))
passkey_remove = _form(_account_page(PasskeyRemoveView.as_view()))
confirm_password = _form(_account_page(ReauthenticateView.as_view()))
confirm_code = _form(_account_page(CodeReauthenticateView.as_view()))
confirm_passkey = _form(_account_page(ReauthenticateWebAuthnView.as_view()))


@require_POST
@page
def reset(request: HttpRequest, principal: Principal, user_id: str) -> HttpResponse:
    require_admin(principal)
    user = get_or_not_found(User.objects.all(), user_id)
    second_factor_reset(user, actor=User.objects.get(pk=principal.actor))
    messages.success(request, f"{user.username} has no second factor any more and is signed out.")
    return redirect("pages:console-users")
