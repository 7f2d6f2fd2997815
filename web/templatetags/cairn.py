"""Template tags and filters for localized text."""

from django import template

from web import telling

register = template.Library()
register.filter("number", telling.number)
register.filter("told", telling.localize)
