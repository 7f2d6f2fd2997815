"""Gallery of all page components in every state and theme, for developers."""

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from web.pages.shell.decorators import page, show


@dataclass(frozen=True, slots=True)
class Theme:
    """A theme. `id` also prefixes the ids of its components."""

    id: str
    label: str | Promise
    scheme: str
    contrast: bool = False


THEMES: Final = (
    Theme("light", _("Light"), "light"),
    Theme("dark", _("Dark"), "dark"),
    Theme("contrast-light", _("High contrast, light"), "light", contrast=True),
    Theme("contrast-dark", _("High contrast, dark"), "dark", contrast=True),
)
TYPES: Final = ("text-3xl", "text-2xl", "text-xl", "text-l", "text-read", "text-m", "text-s", "text-xs")
COLOURS: Final = (
    "ground", "surface", "raised", "sunken", "hover", "line", "line-strong", "ink", "ink-2", "ink-3",
    "accent", "accent-strong", "accent-soft", "lichen", "warn", "warn-soft", "bad", "bad-soft",
)  # fmt: skip


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    context = {"tab": "components", "themes": THEMES, "types": TYPES, "colours": COLOURS}
    return show(request, principal, "pages/console/components.html", context, area="console")
