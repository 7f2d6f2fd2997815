from django.http import HttpRequest
from ninja import Router

from web.api.schemas import Me
from web.auth import needs, principal_of

router = Router(tags=["Me"])


@router.get("", response=Me, auth=needs())
def me(request: HttpRequest) -> Me:
    """Whom the key or the session acts for."""
    return Me.of(principal_of(request))
