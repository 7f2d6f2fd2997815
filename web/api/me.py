from django.http import HttpRequest, StreamingHttpResponse
from django.utils.translation import gettext_noop
from ninja import Router

from cairn.access.principals import require_unlimited
from cairn.accounts.models import User
from cairn.errors import Forbidden
from web.api.administration.users import ZIP, export_user
from web.api.schemas import Me
from web.http.authentication import needs, principal_of

router = Router(tags=["Me"])


@router.get("", summary="Find out who the key acts for", response=Me, auth=needs())
def me(request: HttpRequest) -> Me:
    """Returns the user of the key or session."""
    return Me.of(principal_of(request))


@router.get("/export", summary="Export your own data", auth=needs("admin"), openapi_extra={"responses": ZIP})
def me_export(request: HttpRequest) -> StreamingHttpResponse:
    """Exports all your data as a ZIP. A key needs the scope `admin`, as it can do whatever you can."""
    principal = principal_of(request)
    require_unlimited(principal)
    if principal.viewer:
        raise Forbidden(
            gettext_noop("Stop viewing as someone else to download your own data."), code="read_only"
        )
    return export_user(User.objects.get(pk=principal.user), actor=principal.actor)
