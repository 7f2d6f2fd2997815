"""What templates need to speak the reader's language."""

from django import template
from django.utils.formats import number_format

register = template.Library()


@register.filter
def number(value: int | float) -> str:
    """With separators, as the page's language has them."""
    return number_format(value, use_l10n=True, force_grouping=True)
