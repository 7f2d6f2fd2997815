"""The address at which systems send webhooks of sources. The signature is what authenticates them."""

from typing import Final

from allauth.core.internal import ratelimit
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from cairn.http.webhook_limits import WEBHOOK_BYTES
from web.sources.webhooks import webhook_receive

INVALID_RATE: Final = "60/m/ip"
_ACTION: Final = "source_webhook"


@csrf_exempt  # no cookie counts here
@never_cache
@require_POST
def receive(request: HttpRequest, source_id: str) -> HttpResponse:
    """Receive a webhook. Unknown sources, sources without webhooks and wrong signatures look the same.

    An address that sends too many of those has to wait, whatever it sends.
    """
    if not _may_send(request, dry_run=True):
        return _reply(429, "Too many requests")
    body = _read_body(request)
    if body is None:
        return _reply(413, "Too large")
    if not webhook_receive(source_id=source_id, headers=request.headers, body=body):
        _may_send(request)
        return _reply(404, "Not found")
    return _reply(202, "Accepted")


def _may_send(request: HttpRequest, *, dry_run: bool = False) -> bool:
    """Count an invalid webhook of the address, or only ask whether it may send another."""
    rates = {_ACTION: INVALID_RATE}
    usage = ratelimit.consume(request, app="web.sources", action=_ACTION, config=rates, dry_run=dry_run)
    return usage is not None


def _read_body(request: HttpRequest) -> bytes | None:
    """Return the body, None if it is too large. Servers other than ours may not have limited it."""
    try:
        body = request.read(WEBHOOK_BYTES + 1)
    except (RequestDataTooBig, UnreadablePostError):
        return None
    return body if len(body) <= WEBHOOK_BYTES else None


def _reply(status: int, text: str) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain")
