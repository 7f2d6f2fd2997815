"""Choice of one's own display name."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from cairn.access.scope import Principal
from cairn.accounts.models import User
from cairn.accounts.services import user_update
from cairn.errors import InvalidInput
from web.i18n.localize import localize
from web.pages.shell.decorators import page


@require_POST
@page
def choose_own(request: HttpRequest, principal: Principal) -> HttpResponse:
    user = User.objects.get(pk=principal.user)
    name = request.POST.get("display_name", "").replace("\0", "")
    try:
        user_update(user, display_name=name, actor=principal.actor)
    except InvalidInput as error:
        messages.error(request, localize(error.message))
    else:
        messages.success(request, gettext("Display name saved."))
    return redirect("pages:account")
