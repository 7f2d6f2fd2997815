"""Template tags and filters for localized text."""

from django import template

from web.i18n import localize

register = template.Library()
register.filter("number", localize.number)
register.filter("size", localize.size)
register.filter("told", localize.localize)
