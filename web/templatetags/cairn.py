"""Template tags and filters for localized text."""

from collections.abc import Iterable
from typing import Any

from django import template

from web.i18n import localize
from web.presentation.branding import current_brand, name_in_title

register = template.Library()
register.filter("number", localize.number)
register.filter("size", localize.size)
register.filter("localized", localize.localize)
register.filter("branded", name_in_title)
register.simple_tag(current_brand, name="current_brand")


@register.filter
def name_of_slug(bases: Iterable[Any], slug: str | None) -> str:
    """Return the name of the knowledge base with the slug; "" if there is none."""
    return next((str(base.name) for base in bases if base.slug == slug), "")
